// The page of the labeling station: its keys and buttons.

import { listenToKeys } from "./keys.js";
import { $, explainKeys, fit } from "./view.js";
import { back, boxes, choices, chosen, done, draws, keep, nothing, outbox, start } from "./work.js";

const help = () => $("keys").showModal();
const add = () => draws() && boxes.add();

listenToKeys({
  actions: {
    "?": help,
    "/": () => $("filter").focus(),
    "+": add,
    Insert: add,
    n: nothing,
    N: nothing,
    Enter: done,
    Escape: () => boxes.letGo(),
    Delete: () => boxes.remove(),
    Backspace: () => boxes.remove() || back(),
  },
  undo: () => (draws() && boxes.undo()) || back(),
  nudge: (x, y, options) => draws() && boxes.nudge(x, y, options),
  choose(event) {
    const category = choices.of(event);
    if (category !== undefined) chosen(category);
    return category !== undefined;
  },
});

addEventListener("beforeunload", (event) => { if (outbox.entries.length) event.preventDefault(); });
new ResizeObserver(fit).observe($("stage"));
$("help").addEventListener("click", help);
$("back").addEventListener("click", back);
$("rest-back").addEventListener("click", back);
$("keep").addEventListener("click", keep);
$("done").addEventListener("click", done);
$("nothing").addEventListener("click", nothing);
$("retry").addEventListener("click", () => outbox.flush());

explainKeys();
await start();
