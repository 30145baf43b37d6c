// A picture may be dropped or pasted anywhere on a tab that takes one.
(() => {
  const isClip = (files) => files.length > 1 || /^video\/|gif$/.test(files[0].type);

  // A clip, or several pictures, go where clips are blended, which may have to be opened first.
  const inputFor = (files) => {
    const tab = [...document.querySelectorAll('#tab-generate, #tab-compare')].find((each) => each.offsetParent !== null);
    const clip = tab?.querySelector('#clip');
    if (!clip || !isClip(files)) return tab?.querySelector('input[type=file]');
    if (!clip.querySelector('input[type=file]')?.offsetParent) clip.querySelector('button')?.click();
    return clip.querySelector('input[type=file]');
  };

  const give = (files) => {
    const input = files.length ? inputFor(files) : null;
    if (!input) return false;
    const given = new DataTransfer();
    files.slice(0, input.multiple ? files.length : 1).forEach((file) => given.items.add(file));
    input.files = given.files;
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
