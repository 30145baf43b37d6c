// What this browser remembers of the page: by itself, so that what was typed just before a reload is kept, and no late
// answer of the app can take it back. `choices` are the limits of what is chosen, by name, in the order of their components.
window.blurdepthMemory = (() => {
  let isAllBack = false;
  const unchanged = {__type__: 'update'};
  const named = (choices, values) => Object.fromEntries(Object.keys(choices).map((name, place) => [name, values[place]]));
  const newName = () =>
    Array.from(crypto.getRandomValues(new Uint8Array(6)), (byte) => byte.toString(16).padStart(2, '0')).join('');
  const fits = (value, {minimum, maximum, options = [value]} = {}) =>
    options.includes(value) && (minimum === undefined || (typeof value === 'number' && minimum <= value && value <= maximum));

  // All at the start, without asking the app. What was kept may be of another version, or damaged: what doesn't fit where
  // it stood doesn't count. The actor is the name by which undo knows whose decisions are whose.
  const recall = (choices) => (memory, ...values) => {
    const kept = Object(memory);
    const recalled = (name, standing) =>
      typeof kept[name] === typeof standing && fits(kept[name], choices[name]) ? kept[name] : standing;
    const back = Object.keys(choices).map((name, place) => recalled(name, values[place]));
    const actor = recalled('actor', '') || newName();
    return [{actor, reading: recalled('reading', ''), setup: recalled('setup', ''), ...named(choices, back)}, ...back];
  };

  const remember = (choices) => (memory, reading, editor, ...values) => {
    if (!isAllBack) return unchanged; // what changes so far is being recalled
    // The editor is empty while there is no depth: what was set is remembered until there is.
    const setup = JSON.parse(editor).setup || memory.setup;
    return {...memory, reading, setup, ...named(choices, values)};
  };

  // What is offered, unless a frame has been chosen since it was asked for.
  const take = (offered, work) => {
    const {of, values} = JSON.parse(offered);
    const isLate = JSON.stringify(of) !== JSON.stringify([work?.frame ?? null, work?.taken ?? null]);
    return values.map((value) => (isLate ? unchanged : value ?? unchanged));
  };

  // A frame's name and choices as one text, once no number is half typed.
  const whole = (choices) => (work, ...values) =>
    Object.values(choices).every((limits, place) => fits(values[place], limits)) ? JSON.stringify([work, ...values]) : unchanged;

  return {recall, remember, take, whole, isBack: () => { isAllBack = true; }};
})();
