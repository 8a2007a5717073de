// What the live page has besides the report: controls, and a script that puts in the parts as they come.

export const CONTROLS = `<section class="card" aria-label="Controls"><p id="status" role="status" aria-live="polite">connecting</p>
<div class="controls"><button id="pause" type="button">Pause</button><button id="stop" type="button" class="plain">Stop and save</button></div>
<form class="controls" id="sample"><label>Text to go on from<textarea name="prompt" rows="2" required maxlength="4000"></textarea></label><button>Write a sample</button></form>
<div class="sample" id="written" role="log" aria-label="Samples" aria-live="polite"></div></section>`;

export const LIVE = `
const token = new URLSearchParams(location.search).get("token");
const status = document.getElementById("status");
const pause = document.getElementById("pause");
const stop = document.getElementById("stop");
const ask = async (what, body) => {
  const answer = await fetch(what, { method: "POST", headers: { "x-lowrank-token": token }, body });
  if (!answer.ok) throw new Error(await answer.text());
  return answer.text();
};
const attempt = (work) => work.catch((error) => { status.textContent = error.message; });
pause.addEventListener("click", () => attempt(ask(pause.dataset.paused ? "/resume" : "/pause")));
stop.addEventListener("click", () => attempt(ask("/stop")));
document.getElementById("sample").addEventListener("submit", async (event) => {
  event.preventDefault();
  const button = event.target.querySelector("button");
  const prompt = event.target.prompt.value;
  button.disabled = true;
  const text = await attempt(ask("/sample", prompt));
  button.disabled = false;
  if (text !== undefined) document.getElementById("written").prepend(prompt + text + "\\n\\n");
});
const events = new EventSource("/events?token=" + encodeURIComponent(token));
events.addEventListener("status", ({ data }) => {
  const { text, paused, over } = JSON.parse(data);
  status.textContent = text;
  pause.textContent = paused ? "Go on" : "Pause";
  if (paused) pause.dataset.paused = "1"; else delete pause.dataset.paused;
  pause.disabled = stop.disabled = over;
});
events.addEventListener("part", ({ data }) => {
  const { id, html } = JSON.parse(data);
  let part = document.querySelector('[data-part="' + id + '"]');
  if (!part) {
    part = document.createElement("figure");
    part.dataset.part = id;
    document.getElementById("figures").append(part);
  }
  // Whoever reads a plot by keys is not disturbed.
  if (part.contains(document.activeElement)) return;
  part.innerHTML = html;
  delete part.dataset.ready;
  if (part.tagName === "FIGURE") readable(part);
});
events.addEventListener("error", () => { status.textContent = "The run does not answer any more."; });
`;
