// Keyboard shortcuts: they press the buttons of the tab in view, and never while somebody types.
(() => {
  const BUTTONS = {a: 'accept', r: 'reject', u: 'undo'};
  for (let number = 1; number <= 9; number++) BUTTONS[number] = `reason-${number}`;

  const inView = (element) => element && element.offsetParent !== null;

  const isTyping = (target) =>
    target.isContentEditable || target.closest('textarea, select, input:not([type=radio]):not([type=checkbox]), [role=listbox]');

  const flip = () => {
    const choices = [...document.querySelectorAll('#view input[type=radio]')];
    if (!inView(choices[0]?.closest('label'))) return false;
    choices[(choices.findIndex((choice) => choice.checked) + 1) % choices.length].click();
    return true;
  };

  const press = (key) => {
    if (key === 'f') return flip();
    const button = document.getElementById(BUTTONS[key] ?? '');
    if (!inView(button) || button.disabled) return false;
    button.click();
    return true;
  };

  document.addEventListener('keydown', (event) => {
    if (event.repeat || event.ctrlKey || event.metaKey || event.altKey || isTyping(event.target)) return;
    if (press(event.key.toLowerCase())) event.preventDefault();
  });

  document.addEventListener('click', (event) => {
    const tab = event.target.closest('[data-tab]');
    if (tab) document.getElementById(`tab-${tab.dataset.tab}-button`)?.click();
  });
})();
