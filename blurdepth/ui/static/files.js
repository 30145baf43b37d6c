// A picture may be dropped or pasted anywhere on a tab that takes one.
(() => {
  const PATIENCE_MS = 3000;

  const tabInView = () => [...document.querySelectorAll('#tab-generate, #tab-compare')].find((tab) => tab.offsetParent !== null);

  const hand = (input, files) => {
    const one = new DataTransfer();
    one.items.add(files[0]);
    input.files = one.files;
    input.dispatchEvent(new Event('change', {bubbles: true}));
  };

  const give = (files) => {
    const tab = tabInView();
    if (!tab || !files.length) return false;
    // An input that shows a picture has to be emptied before it takes another.
    if (!tab.querySelector('input[type=file]')) tab.querySelector('.image-container button[aria-label="Clear"], button[aria-label="Clear"]')?.click();
    const until = Date.now() + PATIENCE_MS;
    const look = setInterval(() => {
      const input = tab.querySelector('input[type=file]');
      if (!input && Date.now() < until) return;
      clearInterval(look);
      if (input) hand(input, files);
    }, 50);
    return true;
  };

  document.addEventListener('dragover', (event) => event.preventDefault());
  document.addEventListener('drop', (event) => {
    if (event.defaultPrevented && event.target.closest('[data-testid=image], .image-container')) return;
    event.preventDefault();
    give([...event.dataTransfer.files]);
  });
  document.addEventListener('paste', (event) => {
    if (give([...event.clipboardData.files])) event.preventDefault();
  });
})();
