// What this browser remembers of the page: by itself, so that what was typed just before a reload is kept, and no answer
// of the app can take it back. `choices` are the names of what is chosen, in the order of their components.
window.blurdepthMemory = (() => {
  let isRecalled = false;
  const named = (choices, values) => Object.fromEntries(choices.map((name, place) => [name, values[place]]));
  const newName = () =>
    Array.from(crypto.getRandomValues(new Uint8Array(6)), (byte) => byte.toString(16).padStart(2, '0')).join('');

  // All at the start, as nobody can have typed anything yet. What was kept may be of another version, or damaged: what is
  // not of the kind that stands there doesn't count. The actor is the name by which undo knows whose decisions are whose.
  const recall = (choices) => (memory, ...values) => {
    const kept = Object(memory);
    const recalled = (name, standing) => (typeof kept[name] === typeof standing ? kept[name] : standing);
    const back = choices.map((name, place) => recalled(name, values[place]));
    const actor = recalled('actor', '') || newName();
    return [{actor, reading: recalled('reading', ''), setup: recalled('setup', ''), ...named(choices, back)}, ...back];
  };

  const remember = (choices) => (memory, reading, editor, ...values) => {
    if (!isRecalled) return memory; // what changes so far is being recalled
    // The editor is empty while there is no depth: what was set is remembered until there is.
    const setup = JSON.parse(editor).setup || memory.setup;
    return {...memory, reading, setup, ...named(choices, values)};
  };

  // What long work offers, unless another frame has been chosen in the meantime.
  const take = (offered, work, status) => {
    const offer = JSON.parse(offered);
    const isLate = JSON.stringify(offer.of) !== JSON.stringify(work?.frame ?? null);
    return isLate ? [work, status] : [offer.work ?? work, offer.status];
  };

  return {recall, remember, take, recalled: () => { isRecalled = true; }};
})();
