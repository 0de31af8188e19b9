// Shows an answer: the digits, a sentence, their probabilities and where they were found.

import {formatted, percent, percentInWords, words} from "./language.js";
import {isUnclear} from "./reading.js";

// Between a digit and the frame around it, a share of the picture's longer side.
const ROOM_SHARE = 0.012;
// A sentence names a number of up to so many digits, and how sure each of a few is.
const NAMED_DIGITS = 12, LISTED_DIGITS = 6;
const SVG = "http://www.w3.org/2000/svg";
const WORTH_ANOTHER_TRY = ["busy", "failed", "unreachable"];
const WITHOUT_ANSWER = ["idle", "reading"];

export const byId = id => document.getElementById(id);
const element = (name, properties) => Object.assign(document.createElement(name), properties);

let shown = {kind: "idle"};
let chosen = 0;

export function isWorthAnotherTry(answer) {
  return WORTH_ANOTHER_TRY.includes(answer?.kind);
}

export function isError({kind, digits}) {
  return !digits && !WITHOUT_ANSWER.includes(kind);
}

export function show(answer) {
  shown = answer;
  const probs = answer.digits?.map(({prob}) => prob) ?? [];
  chosen = Math.max(0, probs.indexOf(Math.min(...probs)));
  showAgain();
}

// In another language, too.
export function showAgain() {
  const answered = byId("answered");
  answered.dataset.kind = shown.kind;
  answered.classList.toggle("error", isError(shown));
  answered.setAttribute("aria-busy", shown.kind === "reading");
  byId("samples").hidden = shown.kind !== "idle";
  byId("evidence").hidden = !shown.digits;
  byId("again").hidden = !isError(shown);
  byId("again").textContent = isWorthAnotherTry(shown) ? words().again : words().back;
  showSentence();
  showDigits();
  if (shown.digits) showChosen();
}

function showSentence() {
  const [lead, rest = ""] = shown.digits?.length > 1 ? numberSentence() : sentence(shown);
  byId("sentence").replaceChildren(element("strong", {textContent: lead}), " ", rest);
  if (shown.name) byId("sentence").prepend(element("span", {className: "name", textContent: shown.name}));
  // A refusal without a code is in English alone.
  if (shown.error) byId("sentence").append(element("q", {lang: "en", textContent: shown.error}));
}

function sentence(answer) {
  const texts = words()[answer.kind];
  if (typeof texts !== "function") return texts;
  if (!answer.digits) return texts({...answer, percent: formatted});
  const [{class: digit, prob, ranking}] = answer.digits;
  return texts({digit, percent: percentInWords(prob), other: ranking[1].class});
}

function numberSentence() {
  const {kind, digits, rows, truncated} = shown;
  const texts = words().number;
  const number = digits.length > NAMED_DIGITS || rows.length > 1
    ? texts.long({count: digits.length, rows: rows.length})
    : digits.map(letter).join("");
  return [texts[kind](number), `${sureness()} ${truncated ? texts.truncated : ""}`];
}

function sureness() {
  const texts = words().number;
  const {digits} = shown;
  const percents = digits.map(({prob}) => percentInWords(prob));
  if (new Set(percents).size === 1) return texts.even(percents[0]);
  if (digits.length <= LISTED_DIGITS) return texts.each(digits.map(({prob}) => percent(prob)).join(", "));
  const least = Math.min(...digits.map(({prob}) => prob));
  const at = digits.findIndex(({prob}) => prob === least);
  return texts.least({digit: digits[at].class, at: at + 1, percent: percents[at]});
}

function letter(digit) {
  return isUnclear(digit) ? "?" : digit.class;
}

// One digit is text; of several each can be chosen.
function showDigits() {
  const {digits = [], kind, rows} = shown;
  const place = byId("digit");
  if (digits.length < 2) {
    place.textContent = digits.length ? (kind === "unsure" ? "?" : letter(digits[0])) : "";
    return;
  }
  const group = element("div", {className: "number", role: "radiogroup", ariaLabel: words().digits});
  group.style.setProperty("--count", Math.max(...rows));
  group.style.setProperty("--rows", rows.length);
  const choices = digits.map(choice);
  for (const length of rows) {
    const row = element("div");
    row.append(...choices.splice(0, length));
    group.append(row);
  }
  place.replaceChildren(group);
}

function choice(digit, index) {
  const label = element("label", {className: isUnclear(digit) ? "unclear" : ""});
  const radio = element("input", {type: "radio", name: "digit", checked: index === chosen});
  radio.ariaLabel = `${letter(digit)}, ${percent(digit.prob)}`;
  radio.addEventListener("change", () => choose(index));
  label.append(radio, element("span", {textContent: letter(digit)}));
  return label;
}

export function choose(index) {
  chosen = index;
  const radio = byId("digit").querySelectorAll("input")[index];
  if (radio) radio.checked = true;
  showChosen();
}

function showChosen() {
  const {digits} = shown;
  const {prob, ranking, input} = digits[chosen];
  const place = {at: chosen + 1, count: digits.length, percent: percentInWords(prob)};
  byId("chosen").textContent = digits.length > 1 ? words().chosen(place) : "";
  byId("seen").hidden = !input;
  if (input) byId("input").src = input;
  showBars(ranking);
  showFrames();
}

export function prepareBars() {
  for (let digit = 0; digit < 10; digit++) {
    const row = element("li");
    const parts = [{className: "class", textContent: digit}, {className: "bar"}, {className: "percent"}];
    row.append(...parts.map(part => element("span", part)));
    byId("bars").append(row);
  }
}

function showBars(ranking) {
  const percents = new Map(ranking.map(({class: digit, prob}) => [digit, prob]));
  byId("bars").querySelectorAll("li").forEach((row, digit) => {
    const prob = percents.get(String(digit));
    row.classList.toggle("first", ranking[0].class === String(digit));
    row.style.setProperty("--share", (prob ?? 0) / 100);
    row.querySelector(".percent").textContent = prob === undefined ? "" : percent(prob);
  });
}

export function hideFrames() {
  byId("found").setAttribute("hidden", "");
}

function showFrames() {
  const {digits, width, height} = shown;
  if (!width) return;  // the browser cannot show what the service can read
  const found = byId("found");
  found.setAttribute("viewBox", `0 0 ${width} ${height}`);
  found.replaceChildren(
    ...digits.map(digit => frame(digit, "halo")),
    ...digits.map(digit => frame(digit, "")),
    // Last: it lies above the others.
    frame(digits[chosen], "chosen"),
  );
  found.removeAttribute("hidden");
}

function frame(digit, name) {
  const rect = document.createElementNS(SVG, "rect");
  rect.setAttribute("class", name);
  for (const [side, value] of Object.entries(placeOf(digit))) rect.setAttribute(side, value);
  return rect;
}

function placeOf({box}) {
  const {width, height} = shown;
  // Without a box the whole frame was read.
  if (!box) return {x: 0, y: 0, width, height};
  const room = ROOM_SHARE * Math.max(width, height);
  return {x: box.x - room, y: box.y - room, width: box.width + 2 * room, height: box.height + 2 * room};
}

// Whether one of several digits is framed there, and is chosen now.
export function chooseAt({clientX, clientY}) {
  const matrix = byId("found").getScreenCTM();
  if (!matrix || !(shown.digits?.length > 1)) return false;
  const {x, y} = new DOMPoint(clientX, clientY).matrixTransform(matrix.inverse());
  const index = shown.digits.map(placeOf).findIndex(place => (
    x >= place.x && y >= place.y && x <= place.x + place.width && y <= place.y + place.height
  ));
  if (index >= 0) choose(index);
  return index >= 0;
}

// Several pictures: {file, answer}, of which one is shown.
export function showList(pictures, at, choosePicture) {
  const list = byId("pictures");
  list.hidden = pictures.length < 2;
  if (list.hidden) return;
  const hadFocus = list.contains(document.activeElement);
  list.replaceChildren(...pictures.map(({file, answer}, index) => {
    const button = element("button", {type: "button"});
    button.setAttribute("aria-current", index === at);
    button.append(element("span", {className: "name", textContent: file.name}), element("b", brief(answer)));
    button.addEventListener("click", () => choosePicture(index));
    const item = element("li");
    item.append(button);
    return item;
  }));
  if (hadFocus) list.children[at].firstChild.focus();
}

function brief(answer) {
  if (!answer) return {textContent: "…"};
  if (!answer.digits) return {textContent: `⚠ ${sentence(answer)[0]}`, className: "error"};
  const letters = answer.digits.map(letter);
  const rows = answer.rows.map(length => letters.splice(0, length).join(""));
  return {textContent: rows.join(" · ")};
}
