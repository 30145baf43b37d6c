// Who moves: the frame with outlines, arrows and a brush, and a preview that follows.
// Gradio hands over `element`, `props`, `trigger`, `watch` and `server`; `props.value` is the JSON of what is asked:
// frame, model, finder and setup. Every edit gives a new setup, so undo goes back to the one before.
const PREVIEW_WIDTH = 416;
const REST_MS = 250;
const TIP_PX = 7; // on the screen
const REACH_PX = matchMedia('(pointer: coarse)').matches ? 18 : 11;
const SILENT = 'The app does not answer: is it still running? Once it is, go on here, or reload the page.';
const NUDGE_PX = 4;
const HINTS = {
  choose: 'Click a car or a person to let it move; drag the tip of its arrow to say where to and how fast.',
  brush: 'Paint over what moves.',
  erase: 'Wipe away what does not belong to the chosen mover.',
};

const root = element.querySelector('.bd-editor');
const find = (selector) => root.querySelector(selector);
const stage = find('.bd-stage');
const svg = find('svg');
let asked = {};
let sheet = null;
let chosen = 0; // 0: whoever is first; null: nobody, the next stroke is a new mover
let held = false; // a pointer holds an arrow or the brush: what is drawn must stay
let tool = 'choose';
let past = [];
let future = [];

const shape = (name, attributes, parent = svg) => {
  const made = document.createElementNS('http://www.w3.org/2000/svg', name);
  for (const [key, value] of Object.entries(attributes)) made.setAttribute(key, value);
  parent.append(made);
  return made;
};

const hint = () => (tool === 'choose' || !chosen ? HINTS[tool] : `${HINTS[tool]} This is mover ${chosen}.`);
const say = (text) => { find('.bd-hint').textContent = text || hint(); };

// Pixels of the picture in one pixel of the screen.
const zoom = () => sheet.size[0] / (svg.getBoundingClientRect().width || sheet.size[0]);

const here = (event) => {
  const box = svg.getBoundingClientRect();
  const scale = zoom();
  return [(event.clientX - box.left) * scale, (event.clientY - box.top) * scale];
};

// Edits wait for each other, as each starts from the setup that the one before gave. So `more` may be a function, which
// is called when its turn comes. What was asked about a frame that is gone by then is dropped.
let queue = Promise.resolve();
let pending = 0;
const ask = (action, more) => {
  const {frame} = asked;
  pending += 1;
  queue = queue.then(async () => {
    const wish = frame === asked.frame && (typeof more === 'function' ? more() : more);
    const answer = wish ? await send(action, wish) : null;
    pending -= 1;
    if (!answer || frame !== asked.frame) return null;
    if (answer.error) refuse(action, answer.error);
    return answer.error ? null : answer;
  });
  return queue;
};

// Where the app doesn't answer, Gradio's client gives nothing at all.
const heard = async (coming) => (await coming.catch(() => null)) ?? {error: SILENT};

const send = async (action, wish) => {
  root.classList.add('bd-busy');
  const answer = await heard(server.edit_frame({...asked, condition: window.blurdepthCondition, action, ...wish}));
  root.classList.remove('bd-busy');
  return answer;
};

const refuse = (action, words) => {
  say(words);
  const near = find('.bd-refused'); // the panel may be far below the picture
  near.hidden = action !== 'assume' && action !== 'known';
  near.textContent = words;
};

const edit = async (action, more) => {
  if (action !== 'drag') aim = null;
  const answer = await ask(action, more);
  if (!answer) return draw();
  if (answer.setup !== sheet.setup) {
    past.push(sheet.setup);
    future = [];
  }
  if (answer.touched) chosen = answer.touched;
  show(answer);
};

const step = async (from, to) => {
  aim = null;
  const answer = await ask('open', () => from.length && {setup: from[from.length - 1]});
  if (!answer) return draw();
  from.pop();
  to.push(sheet.setup);
  show(answer);
};

const show = (answer) => {
  sheet = answer;
  if (chosen !== null && !sheet.movers.some((mover) => mover.number === chosen)) chosen = sheet.movers[0]?.number ?? 0;
  asked = {...asked, setup: sheet.setup};
  props.value = JSON.stringify(asked);
  trigger('edit');
  say('');
  find('.bd-refused').hidden = true;
  if (!pending) draw(); // else the next answer is drawn
  lookAhead();
};

const draw = () => {
  root.hidden = !sheet;
  root.classList.remove('bd-bare');
  if (!sheet || held) return;
  const focused = root.contains(document.activeElement) && document.activeElement.dataset.key;
  const [width, height] = sheet.size;
  svg.setAttribute('viewBox', `-0.5 -0.5 ${width} ${height}`);
  svg.replaceChildren();
  find('.bd-stage img').src = sheet.picture;
  find('.bd-stage').title = `Sharp frame, ${width} × ${height} pixels`;
  find('.bd-depth img').src = sheet.depth;
  find('.bd-depth a').href = sheet.depth;
  sheet.proposals.forEach(drawProposal);
  sheet.movers.forEach(drawMover);
  drawList();
  drawScale();
  find('[data-do=undo]').disabled = !past.length;
  find('[data-do=redo]').disabled = !future.length;
  find('[data-do=new]').hidden = tool !== 'brush' || !chosen;
  if (focused) focusAgain(focused);
};

// Whoever goes by keyboard stays where they were, or gets to the arrow of what they have just chosen.
const focusAgain = (key) => {
  if (document.activeElement?.dataset.key === key) return;
  const at = (name) => root.querySelector(`[data-key="${name}"]`);
  (at(key) ?? at(`tip-${chosen}`) ?? find('[data-tool=choose]')).focus({preventScroll: true});
};

const pressable = (target, key, label, act) => {
  target.dataset.key = key;
  target.setAttribute('tabindex', '0');
  target.setAttribute('role', 'button');
  target.setAttribute('aria-label', label);
  target.addEventListener('keydown', (event) => {
    if (event.key !== 'Enter' && event.key !== ' ') return;
    event.preventDefault();
    act();
  });
};

const drawProposal = (proposal, place) => {
  const outline = shape('path', {d: proposal.path, class: 'bd-proposal'});
  pressable(outline, `proposal-${proposal.inside}`, `Could move: ${place + 1}. Let it move`, () => edit('choose', {to: proposal.inside}));
};

const drawMover = (mover) => {
  const group = shape('g', {class: `bd-mover bd-hue-${mover.number % 6}${mover.number === chosen ? ' bd-chosen' : ''}`});
  const body = shape('path', {d: mover.path, class: 'bd-body'}, group);
  pressable(body, `body-${mover.number}`, `Mover ${mover.number}, ${mover.speed} m/s ${mover.heading}`, () => pick(mover.number));
  const scale = zoom();
  const unit = Math.max(sheet.size[0] / 100, 5 * scale);
  const line = {x1: mover.from[0], y1: mover.from[1], x2: mover.to[0], y2: mover.to[1]};
  shape('line', {...line, class: 'bd-arrow-edge', 'stroke-width': unit * 0.9}, group);
  shape('line', {...line, class: 'bd-arrow', 'stroke-width': unit * 0.45}, group);
  // An arrow may end outside the picture; its tip waits at the border.
  const [cx, cy] = mover.to.map((each, axis) => Math.min(Math.max(each, TIP_PX * scale), sheet.size[axis] - TIP_PX * scale));
  const reach = shape('circle', {cx, cy, r: REACH_PX * scale, class: 'bd-reach'}, group);
  const tip = shape('circle', {cx, cy, r: Math.max(unit * 0.9, TIP_PX * scale), class: 'bd-tip', tabindex: 0, role: 'slider',
    'aria-label': `Tip of the arrow of mover ${mover.number}; the arrow keys move it`, 'aria-valuenow': mover.speed,
    'aria-valuemin': 0, 'aria-valuemax': 60, 'aria-valuetext': `${mover.speed} m/s ${mover.heading}`}, group);
  tip.dataset.key = `tip-${mover.number}`;
  for (const each of [reach, tip]) each.addEventListener('pointerdown', (event) => startDrag(event, mover, group));
  tip.addEventListener('keydown', (event) => nudge(event, mover));
};

const pick = (number) => {
  chosen = number;
  say('');
  draw();
};

const startDrag = (event, mover, group) => {
  event.preventDefault();
  event.stopPropagation();
  if (event.button || held) return;
  chosen = mover.number;
  aim = null;
  follow(event, (to) => {
    group.querySelectorAll('line').forEach((line) => { line.setAttribute('x2', to[0]); line.setAttribute('y2', to[1]); });
    group.querySelectorAll('circle').forEach((end) => { end.setAttribute('cx', to[0]); end.setAttribute('cy', to[1]); });
    lookAhead({mover: mover.number, to});
  }, (to, moved) => (moved ? edit('drag', {mover: mover.number, to}) : pick(mover.number)));
};

// Where the keys want a tip to be. It is not where the tip is: a nearly level arrow is held level.
let aim = null;
const nudge = (event, mover) => {
  const [dx, dy] = {ArrowLeft: [-1, 0], ArrowRight: [1, 0], ArrowUp: [0, -1], ArrowDown: [0, 1]}[event.key] ?? [0, 0];
  if (!dx && !dy) return;
  event.preventDefault();
  if (aim?.number !== mover.number) aim = {number: mover.number, to: mover.to};
  aim.to = [aim.to[0] + dx * NUDGE_PX, aim.to[1] + dy * NUDGE_PX];
  edit('drag', {mover: mover.number, to: aim.to});
};

// From here on the pointer belongs to the picture, wherever it goes, until it is lifted or taken away.
const follow = (event, move, done) => {
  const {frame} = asked;
  const ended = new AbortController();
  const on = (name, act) => svg.addEventListener(name, (next) => {
    if (next.pointerId === event.pointerId) act(next);
  }, {signal: ended.signal});
  let moved = false;
  const gone = () => !sheet || frame !== asked.frame;
  const stop = (next) => {
    ended.abort();
    held = false;
    if (next.type === 'pointerup' && !gone()) done(here(next), moved);
    else draw();
  };
  held = true;
  svg.setPointerCapture(event.pointerId);
  on('pointermove', (next) => {
    if (gone()) return stop(next);
    moved = true;
    move(here(next));
  });
  on('pointerup', stop);
  on('pointercancel', stop);
};

const brushRadius = () => (Number(find('.bd-size input').value) * sheet.size[0]) / 1242;

svg.addEventListener('pointerdown', (event) => {
  if (!sheet || event.button || held) return;
  event.preventDefault();
  const at = here(event);
  if (tool === 'choose') {
    const touched = sheet.movers.find((_mover, place) => svg.querySelectorAll('.bd-mover')[place].contains(event.target));
    return touched ? pick(touched.number) : edit('choose', {to: at});
  }
  if (tool === 'erase' && !chosen) return say('Nobody moves yet, so there is nothing to wipe away.');
  const mover = chosen || null;
  const points = [at];
  const trace = shape('polyline', {points: at.join(), class: `bd-trace bd-${tool}`, 'stroke-width': 2 * brushRadius()});
  const extend = (to) => { points.push(to); trace.setAttribute('points', points.map((each) => each.join()).join(' ')); };
  extend(at);
  follow(event, extend, () => edit('paint', {mover, points, radius: brushRadius(), erase: tool === 'erase'}));
});

svg.addEventListener('dblclick', (event) => event.preventDefault());

const drawList = () => {
  const list = find('.bd-movers');
  if (list.querySelector('input:active')) return; // it is in the hand
  list.replaceChildren();
  for (const mover of sheet.movers) {
    const row = document.createElement('div');
    row.className = `bd-row bd-hue-${mover.number % 6}${mover.number === chosen ? ' bd-chosen' : ''}`;
    row.innerHTML = '<i></i><button type="button" class="bd-name"></button><input type="range" min="0" max="60" step="0.5">'
      + '<output></output><button type="button" class="bd-remove">Remove</button>';
    const [name, slider, output, remove] = ['.bd-name', 'input', 'output', '.bd-remove'].map((each) => row.querySelector(each));
    for (const [part, key] of [[name, 'name'], [slider, 'speed'], [remove, 'remove']]) part.dataset.key = `${key}-${mover.number}`;
    name.setAttribute('aria-pressed', mover.number === chosen);
    name.textContent = `Mover ${mover.number}`;
    name.addEventListener('click', () => pick(mover.number));
    slider.value = mover.speed;
    slider.setAttribute('aria-label', `Speed of mover ${mover.number}, metres per second`);
    output.textContent = `${mover.speed} m/s ${mover.heading}`;
    slider.addEventListener('input', () => {
      output.textContent = `${slider.value} m/s`;
      lookAhead({mover: mover.number, speed: Number(slider.value)});
    });
    slider.addEventListener('change', () => edit('speed', {mover: mover.number, speed: Number(slider.value)}));
    remove.setAttribute('aria-label', `Let mover ${mover.number} stand still`);
    remove.addEventListener('click', () => edit('remove', {mover: mover.number}));
    list.append(row);
  }
};

const drawScale = () => {
  find('.bd-why').textContent = sheet.relative
    ? 'This depth model tells near from far, but knows no metres. These are assumed, and kept with each variant.'
    : 'This depth model knows metres; only the field of view is assumed.';
  root.querySelectorAll('[data-scale]').forEach((input) => {
    input.value = sheet.scale[input.dataset.scale];
    input.closest('label').hidden = !sheet.relative && input.dataset.scale !== 'fov_x_deg';
  });
  find('.bd-known').hidden = !sheet.relative || !chosen;
};

// The preview: small at once, whole as soon as nothing has changed for a moment; one request at a time.
let wanted = null;
let looking = false;
const lookAhead = (more = {}) => {
  wanted = {more, width: PREVIEW_WIDTH, frame: asked.frame};
  if (!looking) look();
};

const look = async () => {
  looking = true;
  const note = find('.bd-preview .bd-note');
  while (wanted) {
    const request = wanted;
    if (request.frame !== asked.frame) {
      wanted = null;
      break;
    }
    const condition = window.blurdepthCondition;
    if (!condition) {
      note.textContent = 'comes with a prompt that is understood';
      wanted = null;
      break;
    }
    note.textContent = 'being made…';
    const answer = await heard(server.preview_frame({...asked, condition, width: request.width, ...request.more}));
    if (request.frame !== asked.frame) continue;
    if (answer.picture) find('.bd-preview img').src = answer.picture;
    note.textContent = answer.error ?? answer.note;
    if (wanted !== request) continue;
    const small = request.width && !answer.error && !Object.keys(request.more).length;
    if (small) await new Promise((done) => setTimeout(done, REST_MS));
    if (wanted === request) wanted = small ? {...request, width: 0} : null;
  }
  looking = false;
};

root.addEventListener('click', (event) => {
  const button = event.target.closest('button');
  if (button?.dataset.tool) choose(button.dataset.tool);
  if (button?.dataset.do === 'new') pick(null);
  if (button?.dataset.do === 'undo') step(past, future);
  if (button?.dataset.do === 'redo') step(future, past);
  if (button?.dataset.do === 'known') edit('known', {mover: chosen, height: Number(find('.bd-known input').value)});
});

const choose = (name) => {
  tool = name;
  root.querySelectorAll('[data-tool]').forEach((each) => each.setAttribute('aria-pressed', each.dataset.tool === name));
  find('.bd-size').hidden = name === 'choose';
  find('[data-do=new]').hidden = name !== 'brush' || !chosen;
  stage.dataset.tool = name;
  say('');
};

root.querySelectorAll('[data-scale]').forEach((input) => {
  input.addEventListener('change', () => edit('assume', {scale: {...sheet.scale, [input.dataset.scale]: Number(input.value)}}));
});

document.addEventListener('blurdepth-condition', () => {
  if (!root.isConnected || !sheet) return;
  ask('open', {}).then((answer) => {
    if (!answer) return;
    sheet = answer; // the arrows are as long as the exposure makes them
    if (!pending) draw();
    lookAhead();
  });
});

new ResizeObserver(() => { if (sheet) draw(); }).observe(stage); // tips are as large on the screen

const load = async () => {
  const next = JSON.parse(props.value || '{}');
  if (next.frame === asked.frame && asked.setup) next.setup = asked.setup; // what was set since this was asked for
  if (['frame', 'model', 'finder', 'setup'].every((name) => next[name] === asked[name])) {
    props.value = JSON.stringify(asked);
    return;
  }
  if (next.frame !== asked.frame) {
    [past, future, chosen, sheet, aim, held] = [[], [], 0, null, null, false];
    find('.bd-preview img').removeAttribute('src');
  }
  asked = next;
  if (!asked.frame) return draw();
  const answer = await ask('open', {});
  if (answer) return show(answer);
  if (sheet || asked !== next) return;
  root.hidden = false; // only the reason
  root.classList.add('bd-bare');
};

say('');
watch('value', load);
load();
