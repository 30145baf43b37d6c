// Keyboard shortcuts: they press the buttons of the tab in view, and never while somebody types.
(() => {
  const DECISIONS = {a: 'accept', r: 'reject', u: 'undo'};
  for (let number = 1; number <= 9; number++) DECISIONS[number] = `reason-${number}`;
  const PATIENCE_MS = 1500;

  const inView = (element) => element && element.offsetParent !== null;

  const isTyping = (target) =>
    target.isContentEditable || target.closest('textarea, select, input:not([type=radio]):not([type=checkbox]), [role=listbox]');

  const flip = () => {
    const choices = [...document.querySelectorAll('#view input[type=radio]')];
    if (!inView(choices[0]?.closest('label'))) return false;
    choices[(choices.findIndex((choice) => choice.checked) + 1) % choices.length].click();
    return true;
  };

  // Fast fingers: a key waits until what the one before it did is shown.
  const waiting = [];
  let busy = false;
  const shown = () => document.querySelector('#sample [data-answer]')?.dataset.answer ?? '';

  const next = () => {
    const button = waiting.shift();
    busy = button !== undefined;
    if (!busy) return;
    const before = shown();
    const until = Date.now() + PATIENCE_MS;
    button.click();
    const look = setInterval(() => {
      if (shown() === before && Date.now() < until) return;
      clearInterval(look);
      next();
    }, 20);
  };

  const press = (key) => {
    if (key === 'f') return flip();
    const button = document.getElementById(DECISIONS[key] ?? '');
    if (!inView(button) || button.disabled) return false;
    waiting.push(button);
    if (!busy) next();
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
