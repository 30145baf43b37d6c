// What was understood, as chips that can be changed by hand. `props.value` is the JSON that `ConditionChips` makes:
// the condition, its knobs, and the ignored words, or an error.
const find = (selector) => element.querySelector(selector);
const PAUSE_MS = 120;
let turned = null;
let drawn = {};
let byHand = false;

const state = () => JSON.parse(props.value || '{}');

const make = (tag, className, text, parent) => {
  const made = document.createElement(tag);
  made.className = className;
  made.textContent = text;
  parent.append(made);
  return made;
};

const chip = (text, className, parent, act) => {
  const made = make(act ? 'button' : 'span', `bd-chip ${className}`, text, parent);
  if (act) {
    made.type = 'button';
    made.addEventListener('click', act);
  }
  return made;
};

const draw = () => {
  drawn = state();
  const {knobs = [], ignored = [], error = '', condition = null, changed = false} = drawn;
  const chips = find('.bd-chips');
  chips.replaceChildren();
  const hint = find('.bd-says');
  hint.textContent = error;
  hint.hidden = !error;
  for (const knob of knobs.filter((each) => !each.at_rest)) {
    const open = knob.name === turned;
    const made = chip(knob.shown, open ? 'bd-open' : '', chips, () => { turned = open ? null : knob.name; draw(); });
    made.setAttribute('aria-expanded', open);
    made.title = 'Change or take away';
  }
  if (knobs.length) drawAdder(chips, knobs.filter((each) => each.at_rest));
  if (changed) chip('Back to the words', 'bd-ignored', chips, () => turn('', 0));
  if (ignored.length) make('span', 'bd-note', 'ignored:', chips);
  ignored.forEach((word) => chip(word, 'bd-ignored', chips));
  drawTurner(knobs.find((each) => each.name === turned && !each.at_rest));
  window.blurdepthCondition = condition;
  document.dispatchEvent(new CustomEvent('blurdepth-condition'));
};

const drawAdder = (chips, resting) => {
  const adder = make('select', 'bd-chip bd-adder', '', chips);
  adder.setAttribute('aria-label', 'Add to what is shown');
  adder.append(new Option('+ add', ''));
  resting.forEach((knob) => adder.append(new Option(knob.label, knob.name)));
  adder.addEventListener('change', () => {
    turned = adder.value;
    turn(adder.value, resting.find((knob) => knob.name === adder.value).first);
  });
};

const drawTurner = (knob) => {
  const panel = find('.bd-turner');
  panel.hidden = !knob;
  if (!knob || panel.dataset.knob === knob.name && panel.contains(document.activeElement)) return;
  panel.replaceChildren();
  panel.dataset.knob = knob.name;
  const label = make('label', '', `${knob.label} `, panel);
  if (knob.choices.length) {
    const select = make('select', '', '', label);
    knob.choices.forEach((each) => select.append(new Option(each, each, false, each === knob.value)));
    select.addEventListener('change', () => turn(knob.name, select.value));
  } else {
    const slider = make('input', '', '', label);
    Object.assign(slider, {type: 'range', min: knob.low, max: knob.high, step: (knob.high - knob.low) / 200, value: knob.value});
    let waiting;
    slider.addEventListener('input', () => {
      clearTimeout(waiting);
      waiting = setTimeout(() => turn(knob.name, Number(slider.value)), PAUSE_MS);
    });
  }
  if (knob.name === 'exposure_s') return;
  const away = make('button', 'bd-away', 'Take away', panel);
  away.type = 'button';
  away.addEventListener('click', () => turn(knob.name, knob.choices[0] ?? 0));
};

// One turn after the other: each starts from the condition that the one before gave.
let queue = Promise.resolve();
const turn = (name, value) => {
  queue = queue.then(async () => {
    const {knobs, ...rest} = state();
    // Where the app doesn't answer, Gradio's client gives nothing at all.
    const answer = (await server.turn_knob({...rest, name, value}).catch(() => null))
      ?? {...state(), error: 'The app does not answer: is it still running?'};
    const now = state();
    if (now.prompt !== rest.prompt || now.negative !== rest.negative) return; // other words have come in the meantime
    byHand = true;
    props.value = JSON.stringify(answer);
    trigger('edit');
    draw();
  });
};

// Answers may overtake each other: what is shown for the words that stand in the boxes isn't replaced by that for others.
// Of the same words Python gives back what it was sent, what the browser remembers, or what the words say: all of that is
// older than what was turned by hand.
const plain = (text) => (text ?? '').replace(/\s+/g, ' ').trim();
const stands = (words, box) => plain(words) === plain(document.querySelector(`${box} textarea, ${box} input`)?.value);
const isCurrent = ({prompt, negative}) => stands(prompt, '#prompt') && stands(negative, '#negative');

const take = () => {
  const came = state();
  const isLate = isCurrent(drawn) && !isCurrent(came);
  const sameWords = came.prompt === drawn.prompt && came.negative === drawn.negative;
  byHand &&= isLate || sameWords;
  if (isLate || byHand || sameWords && drawn.changed) props.value = JSON.stringify(drawn);
  else draw();
};

watch('value', take);
draw();
