// How long an object was before somebody's eyes: time in another tab does not count.

let spent = 0;
let since = 0;

export function start() {
  spent = 0;
  since = document.hidden ? 0 : performance.now();
}

/** @returns seconds since `start` in which the page could be seen */
export function stop() {
  if (since) spent += performance.now() - since;
  since = 0;
  return spent / 1000;
}

document.addEventListener("visibilitychange", () => {
  if (document.hidden) stop();
  else since ||= performance.now();
});
