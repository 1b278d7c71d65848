// The page of the labeling station: one object after the other, what people say about it, and that it is saved.

import { Boxes } from "./boxes.js";
import { Choices } from "./choices.js";
import { Outbox } from "./outbox.js";

const AHEAD = 2; // objects fetched before they are needed
const MOST_UNSAVED = 8;
const SLIP_MILLISECONDS = 150; // nobody answers what they have seen for a shorter time: the key was meant for before
const POLL_SECONDS = 3;
const LARGEST_SCALE = 16;
const ARROWS = { ArrowLeft: [-1, 0], ArrowRight: [1, 0], ArrowUp: [0, -1], ArrowDown: [0, 1] };

const $ = (id) => document.getElementById(id);
const pause = (seconds) => new Promise((resume) => setTimeout(resume, seconds * 1000));

/** What the station answered with an error: `final` when asking again is of no use. */
class Refused extends Error {
  constructor(status, message) {
    super(message);
    this.status = status;
    this.final = status >= 400 && status < 500;
  }
}

let state = null; // the station's last report
let current = null; // the object on the page
let queue = []; // objects that come after it
let filling = false;
let exhausted = false; // the station had nothing more when it was asked last
const skipped = []; // objects that this browser cannot show

// ---- The station -----------------------------------------------------------------------------------------------------

async function ask(address, request) {
  let answer;
  try {
    answer = await fetch(address, request);
  } catch {
    throw new Refused(0, "the station does not answer: does its command still run in the terminal?");
  }
  if (!answer.ok) throw new Refused(answer.status, (await answer.json().catch(() => ({}))).error ?? answer.statusText);
  return answer;
}

async function call(name, given) {
  const headers = { "Content-Type": "application/json" };
  const answer = await (await ask(name, { method: "POST", headers, body: JSON.stringify(given) })).json();
  report(answer.state);
  return answer.result;
}

async function poll() {
  for (;;) {
    try {
      report(await (await ask("state")).json());
      if (exhausted && state.open) await fill();
      if (!state.open && !state.waits) return;
    } catch (error) {
      alarm("trouble", error.message);
    }
    await pause(POLL_SECONDS);
  }
}

function report(latest) {
  state = latest;
  $("where").textContent = `Round ${state.round}, ${state.team}`;
  document.title = `${state.question ?? "Labeling"}, round ${state.round}`;
  $("answered").textContent = `${state.answered} of ${state.needed} answers`;
  $("progress").max = Math.max(state.needed, 1);
  $("progress").value = state.answered;
  $("mine").textContent = `${state.worker}: ${state.mine}`;
  alarm("trouble", state.trouble);
  if (!state.open) {
    queue = [];
    current = null;
  }
  if (!current) rest();
}

// ---- What comes next -------------------------------------------------------------------------------------------------

const refsHeld = () => [...[current, ...queue].filter(Boolean), ...outbox.entries].map((one) => one.ref).concat(skipped);

async function fill() {
  if (filling) return;
  filling = true;
  try {
    while (queue.length < AHEAD) {
      const task = await call("next", { held: refsHeld() });
      exhausted = !task;
      if (!task) break;
      queue.push(prepare(task));
      if (!current) showNext();
    }
    alarm("next", "");
  } catch (error) {
    alarm("next", error.message);
    setTimeout(fill, 2000);
  } finally {
    filling = false;
  }
  if (!current) showNext();
}

function prepare(task) {
  const prepared = { ...task, picture: load(task) };
  prepared.picture.catch(() => {}); // told of when its turn comes
  return prepared;
}

/** The image of an object, ready to be shown; tried again while the station cannot fetch it. */
async function load({ ref }) {
  for (;;) {
    try {
      const answer = await ask(`images/${ref[0]}/${ref[1]}`);
      const image = new Image();
      image.alt = "The image to be labeled";
      image.draggable = false;
      image.src = URL.createObjectURL(await answer.blob());
      try {
        await image.decode();
      } catch {
        await call("unreadable", { ref });
        throw new Refused(410, "this browser cannot show it");
      }
      return image;
    } catch (error) {
      if (error.final) throw error;
      alarm("image", `the image cannot be fetched: ${error.message}`);
      await pause(2);
    }
    alarm("image", "");
  }
}

function showNext() {
  const blocked = outbox.entries.length >= MOST_UNSAVED;
  current = (!blocked && queue.shift()) || null;
  if (!current) return rest();
  void show(current);
  void fill();
}

async function show(task) {
  const batch = state.batches[task.ref[0]];
  $("rest").hidden = true;
  $("work").hidden = false;
  $("work").classList.toggle("draws", batch.draws);
  $("question").textContent = batch.question;
  choices.show(batch.categories, { dots: batch.draws });
  $("frame").hidden = true;
  $("loading").hidden = false;
  task.ready = false;
  let image;
  try {
    image = await task.picture;
  } catch (error) {
    if (current !== task) return;
    skipped.push(task.ref);
    say(`An image cannot be shown and is left out: ${error.message}`);
    return showNext();
  }
  if (current !== task) return;
  $("picture").replaceChildren(image);
  $("loading").hidden = true;
  $("frame").hidden = false;
  boxes.load({
    width: image.naturalWidth,
    height: image.naturalHeight,
    categories: batch.categories,
    given: task.drawn ?? (batch.draws ? task.answer : null) ?? task.boxes ?? [],
    editable: batch.draws,
  });
  fit();
  Object.assign(task, { batch, ready: true, accepted: Date.now() });
  clock.start();
  refresh();
  if (!$("filter").matches(":focus")) $("stage").focus({ preventScroll: true });
}

/** The image as large as the stage allows; boxes follow, being parts of the frame. */
function fit() {
  const image = $("picture").firstChild;
  if (!image?.naturalWidth) return;
  const scale = Math.min(
    $("stage").clientWidth / image.naturalWidth, $("stage").clientHeight / image.naturalHeight, LARGEST_SCALE,
  );
  $("frame").style.width = `${image.naturalWidth * scale}px`;
  $("frame").style.height = `${image.naturalHeight * scale}px`;
}

/** How long an object was before somebody's eyes. */
const clock = {
  spent: 0,
  since: 0,
  start() { this.spent = 0; this.since = document.hidden ? 0 : performance.now(); },
  stop() { if (this.since) this.spent += performance.now() - this.since; this.since = 0; return this.spent / 1000; },
  resume() { if (!this.since && !document.hidden) this.since = performance.now(); },
};

// ---- Answers ---------------------------------------------------------------------------------------------------------

function answer(given) {
  if (!current?.ready || Date.now() - current.accepted < SLIP_MILLISECONDS) return;
  const { ref, accepted, boxes: had } = current;
  outbox.add({ ref, boxes: had, answer: given, accepted, submitted: Date.now(), seconds: clock.stop() });
  say("");
  leave();
}

function leave() {
  release(current);
  showNext();
}

function release(task) {
  task.picture.then((image) => URL.revokeObjectURL(image.src), () => {});
}

function chosen(category) {
  if (!current?.ready) return;
  if (!current.batch.draws) return answer(category);
  boxes.name(category);
  $("stage").focus({ preventScroll: true });
}

function done() {
  if (!current?.ready) return;
  if (!current.batch.draws) return current.again ? leave() : undefined;
  if (!boxes.boxes.length) return say("Draw a box around each one, or say that nothing is here with n.");
  if (boxes.nameless) return say("Choose a class for each box first.");
  answer(boxes.value);
}

function nothing() {
  if (!current?.ready || !current.batch.draws) return;
  if (boxes.boxes.length) return say("There are boxes: remove them first, or press Enter.");
  answer([]);
}

/** To the answer before: it is shown again and can be given anew. */
async function back() {
  try {
    const waiting = await outbox.takeBack();
    const task = waiting ?? (await call("back", { before: current?.again ? current.ref : null }));
    if (!task) return say("There is no earlier answer.");
    if (current) {
      if (current.ready && current.batch.draws) current.drawn = boxes.value;
      queue.unshift(current);
    }
    queue = queue.filter((one) => String(one.ref) !== String(task.ref));
    current = prepare({ ...task, again: true });
    await show(current);
    say(current.answer ? "This is what you answered." : "You answered this one before.");
  } catch (error) {
    say(`Going back did not work: ${error.message}`);
  }
}

const outbox = new Outbox(`answers of ${location.pathname}`, {
  send: (entry) => call("answer", entry),
  changed(reason, seconds) {
    const answers = outbox.entries.length === 1 ? "1 answer is" : `${outbox.entries.length} answers are`;
    alarm("save", reason && `${answers} not saved: ${reason} Trying again in ${seconds} s.`);
    if (!current && state) showNext();
  },
  dropped(entry, error) {
    say(error.status === 409 ? "Others had finished that batch: your last answer was not needed." : error.message);
  },
});

// ---- What a person sees ----------------------------------------------------------------------------------------------

const choices = new Choices($("choices"), $("filter"), chosen);
const boxes = new Boxes($("boxes"), refresh);

function refresh() {
  if (!current?.ready) return;
  const { draws } = current.batch;
  const count = boxes.boxes.length;
  choices.mark(draws ? (boxes.selected?.label || boxes.armed) : current.answer);
  $("hint").textContent = draws ? hintForBoxes() : current.again ? "Choose again, or keep your answer." : "";
  $("hint").hidden = !$("hint").textContent;
  $("keep").hidden = draws || !current.again;
  $("nothing").hidden = !draws || count > 0;
  $("done").hidden = !draws || !count;
  $("done").disabled = boxes.nameless > 0;
  $("done").replaceChildren(count === 1 ? "1 box " : `${count} boxes `, key("⏎"));
}

function hintForBoxes() {
  if (boxes.selected && !boxes.selected.label) return "Choose its class.";
  if (boxes.selected) return "Drag it, or its corners. Delete removes it.";
  if (boxes.armed) return `New boxes are: ${boxes.armed}.`;
  return "Draw a tight box around each one.";
}

function key(name) {
  const element = document.createElement("kbd");
  element.textContent = name;
  return element;
}

function say(text) {
  $("notice").textContent = text;
}

const alarms = new Map();

/** Show what is wrong, until it is told that it is no more ("" as text). */
function alarm(what, text) {
  if (text) alarms.set(what, text);
  else alarms.delete(what);
  $("alert-text").textContent = [...alarms.values()].join(" ");
  $("alert").hidden = !alarms.size;
  $("retry").hidden = !alarms.has("save");
}

/** Nothing to label: say why, and what happens next. */
function rest() {
  const left = outbox.entries.length;
  if (state.open && !exhausted && !left) return;
  $("work").hidden = true;
  $("rest").hidden = false;
  const [title, ...lines] = resting(left);
  if ($("rest-title").textContent !== title) {
    $("rest-title").textContent = title;
    $("rest-title").focus();
  }
  $("rest-lines").replaceChildren(...lines.map((line) => Object.assign(document.createElement("li"), { textContent: line })));
  $("rest-back").hidden = !state.open || !state.mine;
}

function resting(left) {
  if (left) return ["Your answers are being saved", "Leave the page open until they are."];
  const mine = `You gave ${state.mine === 1 ? "1 answer" : `${state.mine} answers`}.`;
  const broken = state.broken ? [`${state.broken} objects have no readable image and are left out.`] : [];
  const more = state.waits ? "This page goes on by itself when there is more to label." : "You can close this page.";
  if (!state.batches.length) return ["Nothing is published yet", more];
  if (!state.open) return ["This work is done", mine, ...broken, ...state.sentences, more];
  const missing = `Others still have ${state.needed - state.answered} answers to give; leave the page open, or close it.`;
  return ["Nothing is left for you", mine, ...broken, missing];
}

const KEY_HELP = [
  ["1 … 9, 0, q …", "choose the class whose key it is"],
  ["/", "find a class by its name; Enter chooses the first"],
  ["Backspace", "back to the last answer"],
  ["Enter", "the boxes are done; or keep the answer you went back to"],
  ["n", "nothing here (boxes)"],
  ["Mouse", "drag to draw; click a box to select it, drag it or its corners; Shift draws within it"],
  ["Delete", "remove the selected box"],
  ["+", "a box without the mouse; Tab selects boxes"],
  ["Arrows", "move the selected box; with Shift resize it; with Alt by 10 pixels"],
  ["Ctrl Z", "take back the last change to the boxes; else back"],
  ["Esc", "let go of the box or the class"],
];
$("key-list").replaceChildren(...KEY_HELP.flatMap(([name, text]) => {
  const term = document.createElement("dt");
  term.append(key(name));
  return [term, Object.assign(document.createElement("dd"), { textContent: text })];
}));

// ---- Keys and buttons ------------------------------------------------------------------------------------------------

const COMMANDS = {
  "?": () => $("keys").showModal(),
  "/": () => $("filter").hidden || $("filter").focus(),
  "+": () => current?.batch?.draws && boxes.add(),
  Insert: () => current?.batch?.draws && boxes.add(),
  n: nothing,
  N: nothing,
  Enter: done,
  Escape: () => boxes.letGo(),
  Delete: () => boxes.remove(),
  Backspace: () => boxes.remove() || back(),
};

document.addEventListener("keydown", (event) => {
  const typing = event.target.matches("input");
  if ($("keys").open || typing || event.isComposing) return;
  if ((event.ctrlKey || event.metaKey) && event.key.toLowerCase() === "z") {
    event.preventDefault();
    if (!(current?.batch?.draws && boxes.undo())) void back();
    return;
  }
  if (event.ctrlKey || event.metaKey) return;
  if (event.key in ARROWS && boxes.selected) {
    event.preventDefault();
    const [x, y] = ARROWS[event.key].map((step) => step * (event.altKey ? 10 : 1));
    return boxes.nudge(x, y, { resize: event.shiftKey });
  }
  if (event.altKey || event.repeat) return;
  // A button that has the focus is pressed by these keys already.
  if (event.target.matches("button") && (event.key === "Enter" || event.key === " ")) return;
  const category = choices.of(event);
  if (category !== undefined && event.key !== "/" && event.key !== "?") {
    event.preventDefault();
    return chosen(category);
  }
  if (event.key in COMMANDS) {
    event.preventDefault();
    COMMANDS[event.key]();
  }
});

document.addEventListener("visibilitychange", () => (document.hidden ? clock.stop() : clock.resume()));
addEventListener("beforeunload", (event) => { if (outbox.entries.length) event.preventDefault(); });
new ResizeObserver(fit).observe($("stage"));
$("help").addEventListener("click", COMMANDS["?"]);
$("back").addEventListener("click", back);
$("rest-back").addEventListener("click", back);
$("keep").addEventListener("click", done);
$("done").addEventListener("click", done);
$("nothing").addEventListener("click", nothing);
$("retry").addEventListener("click", () => outbox.flush());

report(await (await ask("state")).json());
await outbox.flush();
void fill();
void poll();
