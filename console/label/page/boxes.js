// Boxes over an image, in whole pixels of the image: drawn, moved, resized and removed with the mouse or with keys.

import { hueOf } from "./choices.js";

const CLICK_PIXELS = 4; // on the screen: a shorter way of the mouse is a click
const EDGES = ["nw", "n", "ne", "e", "se", "s", "sw", "w"];
const clamp = (value, low, high) => Math.min(Math.max(value, low), high);

export class Boxes {
  #past = [];
  #drag = null;

  /** @param changed called after whatever a person did */
  constructor(layer, changed) {
    this.layer = layer;
    this.changed = changed;
    this.boxes = [];
    this.selected = null;
    this.armed = null; // the class that new boxes get
    layer.addEventListener("pointerdown", (event) => this.#down(event));
    layer.addEventListener("pointermove", (event) => this.#move(event));
    layer.addEventListener("pointerup", (event) => this.#up(event));
    layer.addEventListener("pointercancel", () => this.#cancel());
  }

  /** @param given [{left, top, width, height, label}], label "" where nobody has said */
  load({ width, height, categories, given, editable }) {
    Object.assign(this, { width, height, categories, editable, selected: null, armed: null });
    this.boxes = given.map((box) => ({ ...box }));
    this.#past = [];
    this.#drag = null;
    this.layer.classList.toggle("fixed", !editable);
    this.draw();
  }

  get value() {
    return this.boxes.map(({ left, top, width, height, label }) => ({ left, top, width, height, label }));
  }

  /** Whether a person changed something. */
  get touched() {
    return this.#past.length > 0;
  }

  get nameless() {
    return this.boxes.filter((box) => !box.label).length;
  }

  /** Give the selected box a class; without one, new boxes will get it. */
  name(category) {
    if (this.selected) this.#change(() => { this.selected.label = category; });
    else {
      this.armed = this.armed === category ? null : category;
      this.draw();
    }
  }

  /** @returns whether there was a selected box */
  remove() {
    if (!this.selected) return false;
    this.#change(() => {
      this.boxes = this.boxes.filter((box) => box !== this.selected);
      this.selected = null;
    });
    return true;
  }

  /** @returns whether there was something to let go of */
  letGo() {
    if (!this.selected && !this.armed) return false;
    this.selected = this.armed = null;
    this.draw();
    return true;
  }

  /** @returns whether there was something to undo */
  undo() {
    if (!this.#past.length) return false;
    const { boxes, selected } = this.#past.pop();
    this.boxes = boxes;
    this.selected = boxes[selected] ?? null;
    this.draw();
    return true;
  }

  /** A box in the middle, for those who draw with keys. */
  add() {
    const width = Math.max(1, Math.round(this.width / 4));
    const height = Math.max(1, Math.round(this.height / 4));
    const left = Math.round((this.width - width) / 2);
    const top = Math.round((this.height - height) / 2);
    this.#change(() => this.#push({ left, top, width, height }));
  }

  /** Move the selected box, or its right and lower edges. @returns whether there is one */
  nudge(x, y, { resize }) {
    const box = this.selected;
    if (!box) return false;
    this.#change(() => {
      if (resize) {
        box.width = clamp(box.width + x, 1, this.width - box.left);
        box.height = clamp(box.height + y, 1, this.height - box.top);
      } else {
        box.left = clamp(box.left + x, 0, this.width - box.width);
        box.top = clamp(box.top + y, 0, this.height - box.height);
      }
    });
    return true;
  }

  #push(edges) {
    this.selected = { ...edges, label: this.armed ?? "" };
    this.boxes.push(this.selected);
  }

  #change(what) {
    this.#remember();
    what();
    this.draw();
  }

  #remember() {
    this.#past.push({ boxes: this.boxes.map((box) => ({ ...box })), selected: this.boxes.indexOf(this.selected) });
  }

  /** Where an event is, in pixels of the image. */
  #at(event) {
    const area = this.layer.getBoundingClientRect();
    const x = Math.round(((event.clientX - area.left) / area.width) * this.width);
    const y = Math.round(((event.clientY - area.top) / area.height) * this.height);
    return { x: clamp(x, 0, this.width), y: clamp(y, 0, this.height) };
  }

  #down(event) {
    if (!this.editable || event.button !== 0 || this.#drag) return;
    event.preventDefault();
    this.layer.setPointerCapture(event.pointerId);
    const under = this.boxes[event.target.closest(".box")?.dataset.number];
    const edges = event.target.dataset.edges ?? "";
    // Only the selected box moves: elsewhere a new one begins, on top of others too. Shift always begins one.
    const held = under === this.selected && !event.shiftKey ? under : undefined;
    this.#drag = { from: this.#at(event), client: [event.clientX, event.clientY], under, held, edges, before: { ...held } };
  }

  #move(event) {
    const drag = this.#drag;
    if (!drag) return;
    if (!drag.moved) {
      if (Math.hypot(event.clientX - drag.client[0], event.clientY - drag.client[1]) < CLICK_PIXELS) return;
      drag.moved = true;
      this.#remember();
      if (!drag.held) this.#push({ left: drag.from.x, top: drag.from.y, width: 1, height: 1 });
    }
    const at = this.#at(event);
    if (!drag.held) this.#span(drag.from, at);
    else if (drag.edges) this.#stretch(drag, at);
    else this.#shift(drag, at);
    this.draw();
  }

  #span(from, to) {
    const box = this.selected;
    box.left = Math.min(from.x, to.x, this.width - 1);
    box.top = Math.min(from.y, to.y, this.height - 1);
    box.width = Math.max(1, Math.abs(to.x - from.x));
    box.height = Math.max(1, Math.abs(to.y - from.y));
  }

  #shift({ held, before, from }, at) {
    held.left = clamp(before.left + at.x - from.x, 0, this.width - held.width);
    held.top = clamp(before.top + at.y - from.y, 0, this.height - held.height);
  }

  #stretch({ held, before, from, edges }, at) {
    let [west, east] = [before.left, before.left + before.width];
    let [north, south] = [before.top, before.top + before.height];
    const [x, y] = [at.x - from.x, at.y - from.y];
    if (edges.includes("w")) west = clamp(west + x, 0, east - 1);
    if (edges.includes("e")) east = clamp(east + x, west + 1, this.width);
    if (edges.includes("n")) north = clamp(north + y, 0, south - 1);
    if (edges.includes("s")) south = clamp(south + y, north + 1, this.height);
    Object.assign(held, { left: west, top: north, width: east - west, height: south - north });
  }

  #up(event) {
    const drag = this.#drag;
    this.#drag = null;
    if (!drag) return;
    if (drag.moved) this.#move(event);
    else this.selected = drag.under ?? null;
    this.draw();
  }

  #cancel() {
    if (this.#drag?.moved) this.undo();
    this.#drag = null;
  }

  draw() {
    this.layer.replaceChildren(...this.boxes.map((box, number) => this.#element(box, number)));
    this.changed();
  }

  #element(box, number) {
    const { left, top, width, height, label } = box;
    const element = document.createElement("div");
    const selected = box === this.selected;
    element.className = "box";
    element.classList.toggle("selected", selected);
    element.classList.toggle("nameless", !label);
    element.classList.toggle("high", top < this.height / 10);
    element.dataset.number = number;
    element.style.left = `${(left / this.width) * 100}%`;
    element.style.top = `${(top / this.height) * 100}%`;
    element.style.width = `${(width / this.width) * 100}%`;
    element.style.height = `${(height / this.height) * 100}%`;
    element.style.setProperty("--hue", hueOf(this.categories.indexOf(label)));
    const said = `${label || "no class yet"}, ${width} by ${height} pixels at ${left}, ${top}`;
    element.setAttribute("role", this.editable ? "button" : "img");
    element.setAttribute("aria-label", `Box ${number + 1}: ${said}`);
    if (this.editable) {
      element.setAttribute("aria-pressed", selected);
      element.tabIndex = 0;
      element.addEventListener("focus", () => this.#focus(box));
    }
    const tag = document.createElement("span");
    tag.className = "tag";
    tag.textContent = label || "choose a class";
    element.append(tag);
    if (selected) element.append(...EDGES.map(handle));
    return element;
  }

  #focus(box) {
    if (this.selected === box) return;
    this.selected = box;
    this.draw();
    this.layer.children[this.boxes.indexOf(box)]?.focus();
  }
}

function handle(edges) {
  const element = document.createElement("span");
  element.className = "handle";
  element.dataset.edges = edges;
  return element;
}
