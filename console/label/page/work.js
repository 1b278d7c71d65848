// The work: one object after the other, what a person says about it, and that it is saved.

import { Boxes } from "./boxes.js";
import { Choices } from "./choices.js";
import * as clock from "./clock.js";
import { Outbox } from "./outbox.js";
import { ask, call as callStation, fetchPatiently } from "./station.js";
import { $, alarm, fit, key, say, showProgress, showRest } from "./view.js";

const AHEAD = 2; // objects fetched before they are needed
const MOST_UNSAVED = 8;
const SLIP_MILLISECONDS = 120; // nobody answers what they have seen for a shorter time: the key was meant for before
const TICK_SECONDS = 0.5;
const TICKS_BETWEEN = 6; // how often it is enough to look during work, and for more of it

const pause = (seconds) => new Promise((resume) => setTimeout(resume, seconds * 1000));

let state = null; // the station's last report
let current = null; // the object on the page
let queue = []; // objects that come after it
let filling = false;
let exhausted = false; // the station had nothing more when it was asked last
const skipped = []; // objects that this browser cannot show

async function call(name, given) {
  const { result, state: latest } = await callStation(name, given);
  report(latest);
  return result;
}

/** Look how things stand: every now and then during work, often while there is none. */
async function poll() {
  for (let tick = 0; ; tick++, await pause(TICK_SECONDS)) {
    if (current && tick % TICKS_BETWEEN) continue;
    try {
      report(await (await ask("state")).json());
      if (state.open && !current && !(exhausted && tick % TICKS_BETWEEN)) await fill();
      if (!state.open && !state.waits && !outbox.entries.length) return;
    } catch (error) {
      alarm("trouble", error.message);
    }
  }
}

function report(latest) {
  if (latest.open && !state?.open) exhausted = false;
  state = latest;
  showProgress(state);
  if (!state.open) {
    queue = [];
    current = null;
  }
  if (!current) rest();
}

function rest() {
  const unsaved = outbox.entries.length;
  // While something may still come, the page stays as it is.
  if (!state.open || exhausted || unsaved >= MOST_UNSAVED) showRest(state, unsaved);
}

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
  const prepared = { ...task, picture: fetchPatiently(task.ref, (why) => alarm("image", why)) };
  prepared.picture.catch(() => {}); // told of when its turn comes
  return prepared;
}

function showNext() {
  const blocked = outbox.entries.length >= MOST_UNSAVED;
  current = (!blocked && queue.shift()) || null;
  if (!current) {
    $("frame").hidden = true;
    $("loading").hidden = false;
    return rest();
  }
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
  } catch {
    if (current !== task) return;
    skipped.push(task.ref);
    say("An image cannot be shown and is left out.");
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
    given: (batch.draws && (task.drawn ?? task.answer)) || task.boxes || [],
    editable: batch.draws,
  });
  fit();
  Object.assign(task, { batch, ready: true, accepted: Date.now() });
  clock.start();
  refresh();
  if (!$("filter").matches(":focus")) $("stage").focus({ preventScroll: true });
}

function answer(given) {
  if (!current?.ready || Date.now() - current.accepted < SLIP_MILLISECONDS) return;
  const { ref, accepted, boxes: had } = current;
  outbox.add({ ref, boxes: had, answer: given, accepted, submitted: Date.now(), seconds: clock.stop() });
  say("");
  leave();
}

function leave() {
  current.picture.then((image) => URL.revokeObjectURL(image.src), () => {});
  showNext();
}

/** Leave an object that was answered before as it is. */
export function keep() {
  if (!current?.ready || !current.again) return;
  if (current.unsent) outbox.add(current.unsent);
  leave();
}

export function chosen(category) {
  if (!current?.ready) return;
  if (!current.batch.draws) return answer(category);
  boxes.name(category);
  $("stage").focus({ preventScroll: true });
}

export function done() {
  if (!current?.ready) return;
  if (!current.batch.draws || (current.again && !boxes.touched)) return keep();
  if (!boxes.boxes.length) return say("Draw a box around each one, or say that nothing is here with n.");
  if (boxes.nameless) return say("Choose a class for each box first.");
  answer(boxes.value);
}

export function nothing() {
  if (!current?.ready || !current.batch.draws) return;
  if (boxes.boxes.length) return say("There are boxes: remove them first, or press Enter.");
  answer([]);
}

/** To the answer before: it is shown again and can be given anew. */
export async function back() {
  try {
    const unsent = await outbox.takeBack();
    const task = unsent ?? (await call("back", { before: current?.again ? current.ref : null }));
    if (!task) return say("There is no earlier answer.");
    if (current) {
      if (current.ready && current.batch.draws) current.drawn = boxes.value;
      queue.unshift(current);
    }
    queue = queue.filter((one) => String(one.ref) !== String(task.ref));
    current = prepare({ ref: task.ref, boxes: task.boxes, answer: task.answer, again: true, unsent });
    await show(current);
    say(current.answer ? "This is what you answered." : "You answered this one before.");
  } catch (error) {
    say(`Going back did not work: ${error.message}`);
  }
}

export const outbox = new Outbox(`answers of ${location.pathname}`, {
  send: (entry) => call("answer", entry),
  changed(reason, seconds) {
    const answers = outbox.entries.length === 1 ? "1 answer is" : `${outbox.entries.length} answers are`;
    alarm("save", reason && `${answers} not saved yet: ${reason} Trying again in ${seconds} s.`);
    if (!current && state) showNext();
  },
  dropped: (entry, error) => say(`An answer was not saved: ${error.message}.`),
});

export const choices = new Choices($("choices"), $("filter"), chosen);
export const boxes = new Boxes($("boxes"), refresh);

function refresh() {
  if (!current?.ready) return;
  const { draws } = current.batch;
  const count = boxes.boxes.length;
  choices.mark(draws ? (boxes.selected?.label || boxes.armed) : current.answer);
  $("hint").textContent = hint(draws);
  $("hint").hidden = !$("hint").textContent;
  const untouched = current.again && !(draws && boxes.touched);
  $("keep").hidden = !untouched;
  $("nothing").hidden = !draws || count > 0;
  $("done").hidden = !draws || !count || untouched;
  $("done").disabled = boxes.nameless > 0;
  $("done").replaceChildren(count === 1 ? "1 box " : `${count} boxes `, key("⏎"));
}

function hint(draws) {
  if (!draws) return current.again ? "Choose again, or keep your answer." : "";
  if (boxes.selected && !boxes.selected.label) return "Choose its class.";
  if (boxes.selected) return "Drag it, or its corners. Delete removes it.";
  if (boxes.armed) return `New boxes are: ${boxes.armed}.`;
  return "Draw a tight box around each one.";
}

/** Whether a person draws boxes now. */
export const draws = () => Boolean(current?.ready && current.batch.draws);

/** Begin: what was not saved before a reload goes first. */
export async function start() {
  report(await (await ask("state")).json());
  await outbox.flush();
  void fill();
  void poll();
}
