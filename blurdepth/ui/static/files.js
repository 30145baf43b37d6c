// A picture may be dropped or pasted anywhere on a tab that takes one.
(() => {
  const inputInView = () =>
    [...document.querySelectorAll('#tab-generate, #tab-compare')]
      .find((tab) => tab.offsetParent !== null)
      ?.querySelector('input[type=file]');

  const give = (files) => {
    const input = inputInView();
    if (!input || !files.length) return false;
    const one = new DataTransfer();
    one.items.add(files[0]);
    input.files = one.files;
    input.dispatchEvent(new Event('change', {bubbles: true}));
    return true;
  };

  document.addEventListener('dragover', (event) => event.preventDefault());
  document.addEventListener('drop', (event) => {
    if (event.defaultPrevented) return; // the input has taken it itself
    event.preventDefault();
    give([...event.dataTransfer.files]);
  });
  document.addEventListener('paste', (event) => {
    if (give([...event.clipboardData.files])) event.preventDefault();
  });
})();
