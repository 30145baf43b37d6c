// Who moves: the frame with outlines, arrows and a brush, and a preview that follows.
// Gradio hands over `element`, `props`, `trigger`, `watch` and `server`; `props.value` is the JSON of what is asked:
// frame, model, finder and setup. Every edit gives a new setup, so undo goes back to the one before.
const PREVIEW_WIDTH = 416;
const REST_MS = 250;
const NUDGE_PX = 4;
const HINTS = {
  choose: 'Click a car or a person to let it move; drag the tip of its arrow to say where to and how fast.',
  brush: 'Paint over what moves. Paint where nothing is chosen for a new mover.',
  erase: 'Wipe away what does not belong to the chosen mover.',
};

const root = element.querySelector('.bd-editor');
const find = (selector) => root.querySelector(selector);
const stage = find('.bd-stage');
const svg = find('svg');
let asked = {};
let sheet = null;
let chosen = null;
let tool = 'choose';
let past = [];
let future = [];

const shape = (name, attributes, parent = svg) => {
  const made = document.createElementNS('http://www.w3.org/2000/svg', name);
  for (const [key, value] of Object.entries(attributes)) made.setAttribute(key, value);
  parent.append(made);
  return made;
};

const say = (text) => { find('.bd-hint').textContent = text || HINTS[tool]; };

const here = (event) => {
  const box = svg.getBoundingClientRect();
  const scale = sheet.size[0] / box.width;
  return [(event.clientX - box.left) * scale, (event.clientY - box.top) * scale];
};

// Edits wait for each other, as each starts from the setup that the one before gave.
let queue = Promise.resolve();
const ask = (action, more) => {
  queue = queue.then(async () => {
    root.classList.add('bd-busy');
    const answer = await server.edit_frame({...asked, condition: window.blurdepthCondition, action, ...more})
      .catch(() => ({error: 'The app does not answer: is it still running?'}));
    root.classList.remove('bd-busy');
    if (answer.error) say(answer.error);
    return answer.error ? null : answer;
  });
  return queue;
};

const edit = async (action, more) => {
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
  if (!from.length) return;
  const before = sheet.setup;
  const answer = await ask('open', {setup: from[from.length - 1]});
  if (!answer) return;
  from.pop();
  to.push(before);
  show(answer);
};

const show = (answer) => {
  sheet = answer;
  if (!sheet.movers.some((mover) => mover.number === chosen)) chosen = sheet.movers[0]?.number ?? null;
  asked = {...asked, setup: sheet.setup};
  props.value = JSON.stringify(asked);
  trigger('edit');
  say('');
  draw();
  lookAhead();
};

const draw = () => {
  root.hidden = !sheet;
  if (!sheet) return;
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
};

const pressable = (target, label, act) => {
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
  pressable(outline, `Could move: ${place + 1}. Let it move`, () => edit('choose', {to: proposal.inside}));
};

const drawMover = (mover) => {
  const group = shape('g', {class: `bd-mover bd-hue-${mover.number % 6}${mover.number === chosen ? ' bd-chosen' : ''}`});
  const body = shape('path', {d: mover.path, class: 'bd-body'}, group);
  pressable(body, `Mover ${mover.number}, ${mover.speed} m/s ${mover.heading}`, () => pick(mover.number));
  const unit = sheet.size[0] / 100;
  const line = {x1: mover.from[0], y1: mover.from[1], x2: mover.to[0], y2: mover.to[1]};
  shape('line', {...line, class: 'bd-arrow-edge', 'stroke-width': unit * 0.9}, group);
  shape('line', {...line, class: 'bd-arrow', 'stroke-width': unit * 0.45}, group);
  const tip = shape('circle', {cx: mover.to[0], cy: mover.to[1], r: unit * 0.9, class: 'bd-tip', tabindex: 0, role: 'slider',
    'aria-label': `Tip of the arrow of mover ${mover.number}; the arrow keys move it`, 'aria-valuenow': mover.speed,
    'aria-valuetext': `${mover.speed} m/s ${mover.heading}`}, group);
  tip.addEventListener('pointerdown', (event) => startDrag(event, mover, group));
  tip.addEventListener('keydown', (event) => nudge(event, mover));
};

const pick = (number) => { chosen = number; draw(); };

const startDrag = (event, mover, group) => {
  event.preventDefault();
  event.stopPropagation();
  chosen = mover.number;
  follow(event, (to) => {
    group.querySelectorAll('line').forEach((line) => { line.setAttribute('x2', to[0]); line.setAttribute('y2', to[1]); });
    group.querySelector('circle').setAttribute('cx', to[0]);
    group.querySelector('circle').setAttribute('cy', to[1]);
    lookAhead({mover: mover.number, to});
  }, (to) => edit('drag', {mover: mover.number, to}));
};

const nudge = async (event, mover) => {
  const [dx, dy] = {ArrowLeft: [-1, 0], ArrowRight: [1, 0], ArrowUp: [0, -1], ArrowDown: [0, 1]}[event.key] ?? [0, 0];
  if (!dx && !dy) return;
  event.preventDefault();
  await edit('drag', {mover: mover.number, to: [mover.to[0] + dx * NUDGE_PX, mover.to[1] + dy * NUDGE_PX]});
  [...svg.querySelectorAll('.bd-mover')][sheet.movers.findIndex((each) => each.number === mover.number)]
    ?.querySelector('circle').focus();
};

// From here on the pointer belongs to the picture, wherever it goes, until it is lifted or taken away.
const follow = (event, moved, done) => {
  svg.setPointerCapture(event.pointerId);
  const onMove = (next) => moved(here(next));
  const stop = (next) => {
    svg.removeEventListener('pointermove', onMove);
    svg.removeEventListener('pointerup', stop);
    svg.removeEventListener('pointercancel', stop);
    if (next.type === 'pointerup') done(here(next));
    else draw();
  };
  svg.addEventListener('pointermove', onMove);
  svg.addEventListener('pointerup', stop);
  svg.addEventListener('pointercancel', stop);
};

const brushRadius = () => (Number(find('.bd-size input').value) * sheet.size[0]) / 1242;

svg.addEventListener('pointerdown', (event) => {
  if (!sheet || event.button) return;
  event.preventDefault();
  const at = here(event);
  if (tool === 'choose') {
    const touched = sheet.movers.find((_mover, place) => svg.querySelectorAll('.bd-mover')[place].contains(event.target));
    return touched ? pick(touched.number) : edit('choose', {to: at});
  }
  const points = [at];
  const trace = shape('polyline', {points: at.join(), class: `bd-trace bd-${tool}`, 'stroke-width': 2 * brushRadius()});
  const extend = (to) => { points.push(to); trace.setAttribute('points', points.map((each) => each.join()).join(' ')); };
  extend(at);
  follow(event, extend, () => edit('paint', {mover: chosen, points, radius: brushRadius(), erase: tool === 'erase'}));
});

svg.addEventListener('dblclick', (event) => event.preventDefault());

const drawList = () => {
  const list = find('.bd-movers');
  list.replaceChildren();
  for (const mover of sheet.movers) {
    const row = document.createElement('div');
    row.className = `bd-row bd-hue-${mover.number % 6}${mover.number === chosen ? ' bd-chosen' : ''}`;
    row.innerHTML = '<i></i><button type="button" class="bd-name"></button><input type="range" min="0" max="60" step="0.5">'
      + '<output></output><button type="button" class="bd-remove">Remove</button>';
    const [name, slider, output, remove] = ['.bd-name', 'input', 'output', '.bd-remove'].map((each) => row.querySelector(each));
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
  find('.bd-known').hidden = !sheet.relative || chosen === null;
};

// The preview: small at once, whole as soon as nothing has changed for a moment; one request at a time.
let wanted = null;
let looking = false;
const lookAhead = (more = {}) => {
  wanted = {more, width: PREVIEW_WIDTH};
  if (!looking) look();
};

const look = async () => {
  looking = true;
  const note = find('.bd-preview .bd-note');
  while (wanted) {
    const request = wanted;
    const condition = window.blurdepthCondition;
    if (!condition) {
      note.textContent = 'comes with a prompt that is understood';
      wanted = null;
      break;
    }
    note.textContent = 'being made…';
    const answer = await server.preview_frame({...asked, condition, width: request.width, ...request.more})
      .catch(() => ({error: 'The app does not answer: is it still running?'}));
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
  if (button?.dataset.do === 'undo') step(past, future);
  if (button?.dataset.do === 'redo') step(future, past);
  if (button?.dataset.do === 'known') edit('known', {mover: chosen, height: Number(find('.bd-known input').value)});
});

const choose = (name) => {
  tool = name;
  root.querySelectorAll('[data-tool]').forEach((each) => each.setAttribute('aria-pressed', each.dataset.tool === name));
  find('.bd-size').hidden = name === 'choose';
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
    draw();
    lookAhead();
  });
});

const load = async () => {
  const next = JSON.parse(props.value || '{}');
  if (['frame', 'model', 'finder', 'setup'].every((name) => next[name] === asked[name])) return;
  if (next.frame !== asked.frame) [past, future, chosen, sheet] = [[], [], null, null];
  asked = next;
  if (!asked.frame) return draw();
  const answer = await ask('open', {});
  if (answer) show(answer);
};

say('');
watch('value', load);
load();
