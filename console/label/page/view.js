// What a person sees besides the object itself. Everything that comes from outside is set as text, never as markup.

const LARGEST_SCALE = 16;

export const $ = (id) => document.getElementById(id);

export function element(name, text, ...children) {
  const made = document.createElement(name);
  made.textContent = text;
  made.append(...children);
  return made;
}

export const key = (name) => element("kbd", name);

export function say(text) {
  $("notice").textContent = text;
}

const alarms = new Map();

/** Show what is wrong, until it is told that it is no more ("" as text). */
export function alarm(what, text) {
  if (text) alarms.set(what, text);
  else alarms.delete(what);
  $("alert-text").textContent = [...alarms.values()].join(" ");
  $("alert").hidden = !alarms.size;
  $("retry").hidden = !alarms.has("save");
}

const counted = (count, what) => `${count} ${what}${count === 1 ? "" : "s"}`;

/** @param state the station's report */
export function showProgress(state) {
  document.title = `Round ${state.round}, ${state.team}: labeling`;
  $("where").textContent = `Round ${state.round}, ${state.team}`;
  $("answered").textContent = `${state.answered} of ${counted(state.needed, "answer")}`;
  $("progress").max = Math.max(state.needed, 1);
  $("progress").value = state.answered;
  $("mine").textContent = `${state.worker} gave ${state.mine}`;
  const until = new Date(state.until).toLocaleString([], { dateStyle: "medium", timeStyle: "short" });
  $("until").textContent = state.until && `open until ${until}`;
  alarm("trouble", state.trouble);
}

/** Nothing to label: why, and what happens next. @param unsaved how many answers are on their way */
export function showRest(state, unsaved) {
  const [title, ...lines] = resting(state, unsaved);
  $("work").hidden = true;
  $("rest").hidden = false;
  if ($("rest-title").textContent !== title) {
    $("rest-title").textContent = title;
    $("rest-title").focus();
  }
  $("rest-lines").replaceChildren(...lines.map((line) => element("li", line)));
  $("rest-back").hidden = !state.open || !state.mine;
}

function resting(state, unsaved) {
  if (unsaved) return ["Your answers are being saved", "Leave the page open until they are."];
  const more = state.waits ? "This page goes on by itself when there is more to label." : "You can close this page.";
  if (!state.batches.length) return ["Nothing is published yet", more];
  const mine = `You gave ${counted(state.mine, "answer")}.`;
  const broken = state.broken ? [`${counted(state.broken, "image")} cannot be read and are left out.`] : [];
  const title = state.complete ? "This work is done" : "This work has ended";
  if (!state.open) return [title, mine, ...broken, ...state.sentences.map((one) => `${one}.`), more];
  const others = `Others still have ${counted(state.needed - state.answered, "answer")} to give.`;
  return ["Nothing is left for you", mine, ...broken, others, state.waits ? more : "Your part is done."];
}

/** The image as large as the stage allows; boxes follow, being parts of the frame. */
export function fit() {
  const image = $("picture").firstChild;
  if (!image?.naturalWidth) return;
  const room = [$("stage").clientWidth / image.naturalWidth, $("stage").clientHeight / image.naturalHeight];
  const scale = Math.min(...room, LARGEST_SCALE);
  $("frame").style.width = `${image.naturalWidth * scale}px`;
  $("frame").style.height = `${image.naturalHeight * scale}px`;
}

const KEYS_EXPLAINED = [
  ["1 … 9, 0, q …", "choose the class whose key it is"],
  ["/", "find a class by its name; Enter chooses the first"],
  ["Backspace", "back to the last answer"],
  ["Enter", "the boxes are done; or keep the answer you went back to"],
  ["n", "nothing here (boxes)"],
  ["Mouse", "drag to draw; click a box to select it, then drag it or its corners; Shift draws within it"],
  ["Delete", "remove the selected box"],
  ["+", "a box without the mouse; Tab selects boxes"],
  ["Arrows", "move the selected box; with Shift resize it; with Alt by 10 pixels"],
  ["Ctrl Z", "take back the last change to the boxes; else back"],
  ["Esc", "let go of the box or the class"],
];

export function explainKeys() {
  const lines = KEYS_EXPLAINED.flatMap(([name, text]) => [element("dt", "", key(name)), element("dd", text)]);
  $("key-list").replaceChildren(...lines);
}
