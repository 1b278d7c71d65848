// What the keyboard does.

const ARROWS = { ArrowLeft: [-1, 0], ArrowRight: [1, 0], ArrowUp: [0, -1], ArrowDown: [0, 1] };
const LEAP_PIXELS = 10;

/**
 * @param actions what each named key does
 * @param undo what Ctrl Z does
 * @param nudge moves or resizes what is selected; returns whether something is
 * @param choose chooses the class of an event; returns whether there is one
 */
export function listenToKeys({ actions, undo, nudge, choose }) {
  document.addEventListener("keydown", (event) => {
    if (document.querySelector("dialog[open]") || event.target.matches("input") || event.isComposing) return;
    if (react(event)) event.preventDefault();
  });

  /** @returns whether the key meant something */
  function react(event) {
    const held = event.ctrlKey || event.metaKey;
    if (held && event.key.toLowerCase() === "z") return undo(), true;
    if (held) return false;
    if (event.key in ARROWS) {
      const [x, y] = ARROWS[event.key].map((step) => step * (event.altKey ? LEAP_PIXELS : 1));
      return nudge(x, y, { resize: event.shiftKey });
    }
    // A key that is held down is one answer.
    if (event.altKey || event.repeat) return false;
    // A button that has the focus is pressed by these already.
    if (event.target.matches("button") && (event.key === "Enter" || event.key === " ")) return false;
    // Named keys first: some keyboards have / and + above a digit.
    if (event.key in actions) return actions[event.key](), true;
    return choose(event);
  }
}
