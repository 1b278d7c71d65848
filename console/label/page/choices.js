// The classes: a button each, with the key that chooses it.

// n says that nothing is there, where boxes are drawn.
export const KEYS = [..."1234567890qwertyuiopasdfghjklzxcvbm"];
const FEW = 9;

export const hueOf = (index) => (index * 137.508 + 190) % 360;

/** The key of an event as KEYS writes it: digits by their place, since some keyboards need Shift for them. */
function nameOf(event) {
  const digit = /^(?:Digit|Numpad)(\d)$/.exec(event.code);
  return digit ? digit[1] : event.key.toLowerCase();
}

export class Choices {
  /** @param choose called with the name of the class that a person chose */
  constructor(list, filter, choose) {
    this.list = list;
    this.filter = filter;
    this.choose = choose;
    this.categories = [];
    filter.addEventListener("input", () => this.#narrow());
    filter.addEventListener("keydown", (event) => this.#inFilter(event));
  }

  show(categories, { dots }) {
    if (JSON.stringify([categories, dots]) === this.shown) return;
    this.shown = JSON.stringify([categories, dots]);
    this.categories = categories;
    this.list.classList.toggle("many", categories.length > FEW);
    this.filter.hidden = categories.length <= FEW;
    this.buttons = categories.map((category, index) => this.#button(category, index, dots));
    this.list.replaceChildren(...this.buttons);
  }

  #button(category, index, dots) {
    const button = document.createElement("button");
    button.type = "button";
    button.title = category;
    if (KEYS[index]) {
      const key = document.createElement("kbd");
      key.textContent = KEYS[index];
      button.append(key);
      button.setAttribute("aria-keyshortcuts", KEYS[index]);
    }
    if (dots) {
      const dot = document.createElement("i");
      dot.className = "dot";
      dot.style.setProperty("--hue", hueOf(index));
      button.append(dot);
    }
    const name = document.createElement("span");
    name.textContent = category;
    button.append(name);
    button.addEventListener("click", () => this.choose(category));
    return button;
  }

  /** The class of a key, or undefined. */
  of(event) {
    const index = KEYS.indexOf(nameOf(event));
    return index < 0 ? undefined : this.categories[index];
  }

  mark(category) {
    this.buttons?.forEach((button, index) => {
      const chosen = this.categories[index] === category;
      button.classList.toggle("chosen", chosen);
      button.setAttribute("aria-pressed", chosen);
    });
  }

  #narrow() {
    const text = this.filter.value.trim().toLowerCase();
    this.buttons.forEach((button, index) => {
      button.hidden = !this.categories[index].toLowerCase().includes(text);
    });
  }

  #inFilter(event) {
    if (event.key !== "Enter" && event.key !== "Escape") return;
    event.preventDefault();
    const first = this.buttons.findIndex((button) => !button.hidden);
    const found = event.key === "Enter" && this.filter.value.trim() && first >= 0;
    this.filter.value = "";
    this.#narrow();
    this.filter.blur();
    if (found) this.choose(this.categories[first]);
  }
}
