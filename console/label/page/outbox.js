// Answers on their way to the station. They survive a reload of the page, and wait as long as saving fails.

const PAUSES_SECONDS = [1, 2, 4, 8, 15];

export class Outbox {
  #sending = null;
  #failures = 0;
  #timer = 0;

  /**
   * @param send saves one answer; rejects with an error whose `final` says that trying again is of no use
   * @param changed called with the reason why saving fails ("" when it does not) and the seconds until the next try
   * @param dropped called with an answer that will never be saved, and why
   */
  constructor(name, { send, changed, dropped }) {
    this.name = name;
    this.send = send;
    this.changed = changed;
    this.dropped = dropped;
    this.entries = JSON.parse(sessionStorage.getItem(name) ?? "[]");
  }

  add(entry) {
    this.entries.push(entry);
    this.#keep();
    this.flush();
  }

  /** Take back the answer that was given last; undefined when none waits, or it is on its way. */
  async takeBack() {
    await this.#sending;
    const entry = this.entries.pop();
    this.#keep();
    if (!this.entries.length) this.changed("", 0);
    return entry;
  }

  /** Send what waits, one after the other; again and again while that fails. */
  flush() {
    clearTimeout(this.#timer);
    this.#sending ??= this.#send().finally(() => { this.#sending = null; });
    return this.#sending;
  }

  async #send() {
    while (this.entries.length) {
      const [entry] = this.entries;
      try {
        await this.send(entry);
      } catch (error) {
        if (!error.final) {
          const pause = PAUSES_SECONDS[Math.min(this.#failures++, PAUSES_SECONDS.length - 1)];
          this.#timer = setTimeout(() => this.flush(), pause * 1000);
          this.changed(error.message, pause);
          return;
        }
        this.dropped(entry, error);
      }
      this.entries.shift();
      this.#failures = 0;
      this.#keep();
      this.changed("", 0);
    }
  }

  #keep() {
    sessionStorage.setItem(this.name, JSON.stringify(this.entries));
  }
}
