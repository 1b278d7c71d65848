// What the page asks its server.

const PAUSE_SECONDS = 2;

/** What the server answered with an error: `final` when asking again is of no use. */
export class Refused extends Error {
  constructor(status, message) {
    super(message);
    this.status = status;
    this.final = status >= 400 && status < 500;
  }
}

export async function ask(address, request) {
  let answer;
  try {
    answer = await fetch(address, request);
  } catch {
    throw new Refused(0, "The station does not answer: does its command still run in the terminal?");
  }
  if (!answer.ok) throw new Refused(answer.status, (await answer.json().catch(() => ({}))).error ?? answer.statusText);
  return answer;
}

/** Have the server do something: its answer is {result, state}. */
export async function call(name, given) {
  const headers = { "Content-Type": "application/json" };
  return (await ask(name, { method: "POST", headers, body: JSON.stringify(given) })).json();
}

/**
 * The image of an object, ready to be shown; tried again while the server cannot fetch it.
 * Rejects with a final error when nobody could show it.
 * @param alarm called with the reason of a failure, "" when it is over
 */
export async function fetchPatiently(ref, alarm) {
  for (;;) {
    try {
      const image = await fetchImage(ref);
      alarm("");
      return image;
    } catch (error) {
      if (error.final) throw error;
      alarm(`The image cannot be fetched: ${error.message}`);
      await new Promise((resume) => setTimeout(resume, PAUSE_SECONDS * 1000));
    }
  }
}

async function fetchImage(ref) {
  const answer = await ask(`images/${ref[0]}/${ref[1]}`);
  const image = new Image();
  image.alt = "The image to be labeled";
  image.draggable = false;
  image.src = URL.createObjectURL(await answer.blob());
  try {
    await image.decode();
  } catch {
    throw new Refused(410, "this browser cannot show it");
  }
  return image;
}
