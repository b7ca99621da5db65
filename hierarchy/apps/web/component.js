// What Streamlit has no element for: pictures to click, faces with cards, the timeline of a video.
// Names and labels are set as text, never as HTML.

const SVG = new Set(["svg", "path", "rect", "line", "text"]);
const PAGE = 60; // cards at a time

function make(tag, attributes = {}, ...children) {
  const element = SVG.has(tag)
    ? document.createElementNS("http://www.w3.org/2000/svg", tag)
    : document.createElement(tag);
  for (const [name, value] of Object.entries(attributes)) {
    if (name === "style") for (const [key, one] of Object.entries(value)) element.style.setProperty(key, one);
    else if (name.startsWith("on")) element.addEventListener(name.slice(2), value);
    else element.setAttribute(name, value);
  }
  element.append(...children);
  return element;
}

const percent = (share) => `${Math.round(100 * share)} %`;
const chip = (text, [ground, ink]) => make("span", { class: "chip", style: { background: ground, color: ink } }, text);

/** Pictures side by side; the one that is clicked is the state `picked`. */
function strip({ label, items, picked }, { setStateValue }) {
  const button = ({ id, name, image, answer, colours }) =>
    make(
      "button",
      { type: "button", class: "item", "aria-pressed": id === picked, "data-key": id, onclick: () => setStateValue("picked", id) },
      make("img", { src: image, alt: "" }),
      make("span", { class: "name" }, name),
      ...(answer ? [chip(answer, colours)] : []),
    );
  return make("div", { role: "group", "aria-label": label, class: "strip" }, ...items.map(button));
}

/** A picture with its faces, and a card for each; card and face light up together. */
function faces({ headline, detail, colours, image, alt, faces, leaves, sprite, explain }, component) {
  const spots = [], cards = [];
  const light = (number, on) => [spots[number], cards[number]].forEach((one) => one?.classList.toggle("lit", on));
  const hover = (number) => ({ onmouseenter: () => light(number, true), onmouseleave: () => light(number, false) });
  const list = make("ul", { class: "cards" });
  const show = (first) => {
    const last = Math.min(first + PAGE, faces.length);
    cards.length = 0;
    for (let index = first; index < last; index++) cards[index] = card(faces[index], index);
    list.replaceChildren(...Object.values(cards));
    turn.hidden = faces.length <= PAGE;
    turn.replaceChildren(
      make("span", {}, `Faces ${first + 1} to ${last} of ${faces.length}, the largest first`),
      ...[[first - PAGE, "Larger"], [last, "Smaller"]].filter(([to]) => to >= 0 && to < faces.length)
        .map(([to, text]) => make("button", { type: "button", class: "quiet", onclick: () => show(to) }, text)));
  };
  const card = (face, index) =>
    make(
      "li",
      { class: "card", tabindex: -1, ...hover(index), onfocusin: () => light(index, true), onfocusout: () => light(index, false) },
      make("div", { class: "head" }, chip(face.number, face.colours), make("strong", {}, face.label), make("span", { class: "share" }, percent(face.share))),
      make("div", { class: "title" }, face.title),
      make("div", { class: "body" }, crop(index), bars(face.shares)),
      ...(explain
        ? [make("button", { type: "button", class: "quiet", "data-key": `explain ${index}`, "aria-label": `Tree and heat map of face ${face.number}`,
            onclick: () => component.setTriggerValue("explain", index) }, "Tree and heat map")]
        : []),
    );
  const crop = (index) =>
    make("div", { class: "crop", role: "img", "aria-label": "The face as the nets see it",
      style: { "background-image": `url(${sprite})`, "background-position": `0 ${(100 * index) / Math.max(1, faces.length - 1)}%`, "background-size": "100%" } });
  const bars = (shares) => {
    const best = Math.max(...shares);
    return make("dl", {}, ...leaves.flatMap(([name, colour], index) => [
      make("dt", shares[index] === best ? { class: "best" } : {}, name),
      make("dd", {},
        make("span", { class: "track", "aria-hidden": true }, make("span", { class: "bar", style: { width: `${100 * shares[index]}%`, "--colour": colour } })),
        make("span", { class: "number" }, percent(shares[index]))),
    ]));
  };
  const go = (index) => {
    if (!cards[index]) show(PAGE * Math.floor(index / PAGE));
    cards[index].scrollIntoView({ block: "nearest", behavior: "smooth" });
    cards[index].focus({ preventScroll: true });
  };
  const spot = ({ box: [left, top, width, height] }, index) =>
    make("div", { class: "spot", ...hover(index), onclick: () => go(index),
      style: { left: `${100 * left}%`, top: `${100 * top}%`, width: `${100 * width}%`, height: `${100 * height}%` } });
  const turn = make("div", { class: "turn", role: "group", "aria-label": "More faces" });
  show(0);
  const parts = [turn, list];
  if (image) {
    const frame = make("div", { class: "frame" }, make("img", { src: image, alt }));
    faces.forEach((face, index) => frame.append((spots[index] = spot(face, index))));
    const zoom = make("button", { type: "button", class: "quiet zoom", "aria-pressed": false,
      onclick: () => zoom.setAttribute("aria-pressed", figure.classList.toggle("large")) }, "Full size");
    const figure = make("div", { class: "figure" }, make("div", { class: "scroll", tabindex: 0, role: "region", "aria-label": "Picture" }, frame), zoom);
    parts.unshift(figure);
  }
  const head = make("h2", { style: colours ? { "border-color": colours[0] } : {} }, headline);
  return make("div", { class: `faces ${faces.length > PAGE ? "many crowd" : faces.length > 2 ? "many" : "few"}` },
    ...(headline ? [head] : []), ...(detail ? [make("p", { class: "detail" }, detail)] : []), make("div", { class: "parts" }, ...parts));
}

/** Probabilities over time, a row for each face; a click, or an arrow key, seeks the video beside it. */
function timeline({ duration, tracks, leaves, gaps }, { parentElement }) {
  const WIDTH = 1000, HEIGHT = 110, BAND = 16;
  const x = (time) => (WIDTH * time) / duration, y = (share) => HEIGHT - share * HEIGHT;
  const video = () => parentElement.host.closest("[role=tabpanel]")?.querySelector("video");
  const text = (track, now) => {
    const at = track.times.reduce((best, time, index) => (Math.abs(time - now) < Math.abs(track.times[best] - now) ? index : best), 0);
    const best = track.shares[at].indexOf(Math.max(...track.shares[at]));
    return `${now.toFixed(1)} s: ${leaves[best][0]} ${percent(track.shares[at][best])}`;
  };
  const heads = [];
  const move = (now) => heads.forEach((head) => head(now));
  const seek = (now) => {
    const film = video(), time = Math.min(Math.max(now, 0), duration);
    if (film) film.currentTime = time;
    move(time);
  };
  const row = (track) => {
    const band = track.times.map((time, index) => {
      const best = track.shares[index].indexOf(Math.max(...track.shares[index]));
      const until = Math.min(track.times[index + 1] ?? duration, time + 1);
      return make("rect", { x: x(time), width: x(until - time) + 1, y: HEIGHT + 6, height: BAND, style: { "--colour": leaves[best][1] }, class: "band" });
    });
    const lines = leaves.map(([, colour], leaf) =>
      make("path", { style: { "--colour": colour }, d: track.times.map((time, index) => `${index ? "L" : "M"}${x(time)} ${y(track.shares[index][leaf])}`).join("") }));
    const pauses = gaps.map(([begin, end]) => make("rect", { class: "gap", x: x(begin), width: x(end - begin), y: 0, height: HEIGHT }));
    const head = make("line", { class: "playhead", y1: 0, y2: HEIGHT + 6 + BAND });
    const chart = make("svg", { viewBox: `0 0 ${WIDTH} ${HEIGHT + 6 + BAND}`, preserveAspectRatio: "none", tabindex: 0, role: "slider",
      "aria-label": `${track.title}: time in the video`, "aria-valuemin": 0, "aria-valuemax": duration }, ...pauses, ...lines, ...band, head);
    const at = (event) => (duration * (event.clientX - chart.getBoundingClientRect().left)) / chart.getBoundingClientRect().width;
    const label = make("output", {});
    let now = 0;
    chart.addEventListener("pointerdown", (event) => seek(at(event)));
    chart.addEventListener("pointermove", (event) => (event.buttons ? seek(at(event)) : (label.textContent = text(track, at(event)))));
    chart.addEventListener("pointerleave", () => (label.textContent = text(track, now)));
    chart.addEventListener("keydown", (event) => {
      const goal = { ArrowLeft: now - duration / 50, ArrowRight: now + duration / 50, Home: 0, End: duration }[event.key];
      if (goal === undefined) return;
      event.preventDefault();
      seek(goal);
    });
    heads.push((time) => {
      now = time;
      head.setAttribute("x1", x(time));
      head.setAttribute("x2", x(time));
      chart.setAttribute("aria-valuenow", time.toFixed(2));
      chart.setAttribute("aria-valuetext", (label.textContent = text(track, time)));
    });
    return make("div", { class: "track-row" }, make("div", { class: "row-head" }, make("strong", {}, track.title), label), chart);
  };
  const rows = tracks.map(row);
  move(0);
  const follow = () => parentElement.host.isConnected && move(Math.min(video()?.currentTime ?? 0, duration));
  parentElement.host.closest("[role=tabpanel]")?.addEventListener("timeupdate", follow, true); // does not bubble
  const legend = make("div", { class: "legend" }, ...leaves.map(([name, colour, ink]) => chip(name, [colour, ink])));
  return make("div", { class: "timeline" }, legend, ...rows);
}

const views = { strip, faces, timeline };

export default function (component) {
  const { data, parentElement } = component, root = parentElement.querySelector(".root");
  const text = JSON.stringify(data);
  if (root.shown === text) return;
  root.shown = text;
  const key = parentElement.activeElement?.dataset?.key;
  const large = root.querySelector(".figure.large") !== null;
  root.replaceChildren(views[data.view](data, component));
  if (large) root.querySelector(".zoom")?.click();
  if (key) root.querySelector(`[data-key="${CSS.escape(key)}"]`)?.focus();
}
