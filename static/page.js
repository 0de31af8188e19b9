// A drawing or a picture goes to the service, its answer is shown.

import {followPointer, paint} from "./drawing.js";
import {TEXTS} from "./texts.js";

// In percent. The probabilities are calibrated: below UNSURE a first answer is more
// often wrong than right.
const SURE = 90, UNSURE = 50;
// How long the pen must rest before the drawing is sent.
const PAUSE_MS = 120;
// The service makes use of 280 pixels a side.
const DRAWING_SIDE = 280, CONVERTED_SIDE = 1600;
// Types that are sent as they are; the user's own file name is not sent.
const NAMES = {"image/jpeg": "picture.jpg", "image/png": "picture.png"};
// Between the digit and the frame around it, a share of the picture's longer side.
const ROOM_SHARE = 0.015;
const WORTH_ANOTHER_TRY = ["busy", "failed", "unreachable"];

const byId = id => document.getElementById(id);
const element = (name, properties) => Object.assign(document.createElement(name), properties);
const each = (selector, change) => document.querySelectorAll(selector).forEach(change);
const picture = byId("picture");
const drawing = byId("drawing");

const EMPTY = {strokes: [], file: null};
// The current input, and the earlier ones, for undo.
let question = EMPTY;
const before = [];
let asking = new AbortController();
let pause = 0;
let shown = {kind: "idle"};
let language = "en";

// The question

function ask(next) {
  before.push(question);
  question = next;
  questionChanged();
}

function undo() {
  if (!before.length) return;
  question = before.pop();
  questionChanged();
}

function clear() {
  if (!isEmpty(question)) ask(EMPTY);
}

function isEmpty({strokes, file}) {
  return !strokes.length && !file;
}

function questionChanged() {
  showQuestion();
  asking.abort();
  clearTimeout(pause);
  if (isEmpty(question)) return show({kind: "idle"});
  if (question.file) show({kind: "reading"});
  asking = new AbortController();
  pause = setTimeout(showAnswer, PAUSE_MS, asking.signal);
}

function showQuestion() {
  byId("undo").setAttribute("aria-disabled", !before.length);
  byId("clear").setAttribute("aria-disabled", isEmpty(question));
  byId("found").setAttribute("hidden", "");
  // A picture shows once it is decoded; one that cannot be leaves the field to draw on.
  showField({isPicture: false});
  showStrokes();
}

function showField({isPicture}) {
  picture.hidden = !isPicture;
  drawing.hidden = isPicture;
  byId("hint").hidden = isPicture || question.strokes.length > 0;
}

function showStrokes() {
  const {strokes} = question;
  drawing.width = drawing.height = Math.round(drawing.clientWidth * devicePixelRatio);
  paint(drawing, strokes, getComputedStyle(drawing).color);
}

async function showAnswer(signal) {
  byId("answered").setAttribute("aria-busy", "true");
  const {strokes, file} = question;
  const given = file ? await readable(file) : await drawn(strokes);
  const answer = given.kind ? given : await answerTo(given, signal);
  if (!signal.aborted) show(answer);
}

// What is sent: {blob, name, width, height}

async function drawn(strokes) {
  const canvas = paper(DRAWING_SIDE, DRAWING_SIDE);
  paint(canvas, strokes, "black");
  return asPng(canvas);
}

async function readable(file) {
  const isShown = await showPicture(file);
  const {naturalWidth: width, naturalHeight: height} = picture;
  const name = NAMES[file.type];
  if (name) return {blob: file, name, width, height};
  if (!isShown) return {kind: isHeic(file) ? "heic" : "unreadable"};
  const scale = Math.min(1, CONVERTED_SIDE / Math.max(width, height));
  const canvas = paper(Math.ceil(width * scale), Math.ceil(height * scale));
  canvas.getContext("2d").drawImage(picture, 0, 0, canvas.width, canvas.height);
  return asPng(canvas);
}

async function showPicture(file) {
  URL.revokeObjectURL(picture.src);
  picture.src = URL.createObjectURL(file);
  const isShown = await picture.decode().then(() => picture.naturalWidth > 0, () => false);
  if (isShown && question.file === file) showField({isPicture: true});
  return isShown;
}

function isHeic({name, type}) {
  return /\.hei[cf]$/i.test(name) || /^image\/hei[cf]/.test(type);
}

function paper(width, height) {
  const canvas = element("canvas", {width, height});
  const context = canvas.getContext("2d");
  context.fillStyle = "white";
  context.fillRect(0, 0, width, height);
  return canvas;
}

async function asPng(canvas) {
  const blob = await new Promise(resolve => canvas.toBlob(resolve));
  return {blob, name: NAMES["image/png"], width: canvas.width, height: canvas.height};
}

// The answer: {kind, …}, the kind being the name of its sentence

async function answerTo({blob, name, width, height}, signal) {
  const form = new FormData();
  form.append("file", blob, name);
  let response;
  let said;
  try {
    response = await fetch("predict?save=false", {method: "POST", body: form, signal});
    said = await response.text();
  } catch {
    return {kind: "unreachable"};
  }
  const {classification_result: ranking, box, error} = parsed(said);
  if (response.ok && ranking) return {kind: certainty(ranking), ranking, box, width, height};
  const {status, headers} = response;
  const isBusy = status === 503 || status === 429;
  if (isBusy) return {kind: "busy", seconds: Number(headers.get("Retry-After"))};
  return error && status < 500 ? {kind: "refused", error} : {kind: "failed", status};
}

function parsed(text) {
  try {
    return JSON.parse(text);
  } catch {
    return {};  // a proxy's own page
  }
}

function certainty([{prob}]) {
  if (prob >= SURE) return "sure";
  return prob >= UNSURE ? "likely" : "unsure";
}

function show(answer) {
  shown = answer;
  const answered = byId("answered");
  answered.dataset.kind = answer.kind;
  answered.setAttribute("aria-busy", answer.kind === "reading");
  byId("digit").textContent = answer.kind === "unsure" ? "?" : answer.ranking?.[0].class ?? "";
  byId("again").hidden = !WORTH_ANOTHER_TRY.includes(answer.kind);
  showSentence(answer);
  showBars(answer.ranking ?? []);
  if (answer.ranking) showBox(answer);
}

function showSentence({kind, ranking, error, ...details}) {
  const texts = TEXTS[language][kind];
  if (ranking) {
    const [{class: digit, prob}, {class: other}] = ranking;
    Object.assign(details, {digit, other, percent: sureness(prob)});
  }
  const [lead, rest = ""] = typeof texts === "function" ? texts(details) : texts;
  const sentence = byId("sentence");
  sentence.replaceChildren(element("strong", {textContent: lead}), " ", rest);
  // The service speaks English alone.
  if (error) sentence.append(element("q", {lang: "en", textContent: error}));
}

function showBars(ranking) {
  const percents = new Map(ranking.map(({class: digit, prob}) => [digit, prob]));
  byId("bars").querySelectorAll("li").forEach((row, digit) => {
    const prob = percents.get(String(digit));
    row.classList.toggle("first", ranking[0]?.class === String(digit));
    row.style.setProperty("--share", (prob ?? 0) / 100);
    row.querySelector(".percent").textContent = prob === undefined ? "" : percent(prob);
  });
}

function showBox({box, width, height}) {
  const found = byId("found");
  const room = ROOM_SHARE * Math.max(width, height);
  // Without a box the whole frame was read.
  const place = box ? widened(box, room) : {x: 0, y: 0, width, height};
  found.setAttribute("viewBox", `0 0 ${width} ${height}`);
  for (const rect of found.children) {
    for (const [name, value] of Object.entries(place)) rect.setAttribute(name, value);
  }
  found.removeAttribute("hidden");
}

function widened({x, y, width, height}, room) {
  return {x: x - room, y: y - room, width: width + 2 * room, height: height + 2 * room};
}

function percent(prob) {
  const format = {style: "percent", maximumFractionDigits: 1};
  return (prob / 100).toLocaleString(language, format);
}

// No answer is certain.
function sureness(prob) {
  const most = 99.9;
  return prob > most ? TEXTS[language].over(percent(most)) : percent(prob);
}

// Language

function preferredLanguage() {
  const wanted = [remembered(), ...navigator.languages.map(tag => tag.split("-")[0])];
  return wanted.find(tag => tag in TEXTS) ?? "en";
}

function remembered() {
  try {
    return localStorage.language;
  } catch {
    return undefined;  // storage is disabled in this browser
  }
}

function remember() {
  try {
    localStorage.language = language;
  } catch {}
}

function speak(tag) {
  language = document.documentElement.lang = tag;
  const texts = TEXTS[language];
  document.title = texts.title;
  each("[data-text]", worded => worded.textContent = texts[worded.dataset.text]);
  each("[data-label]", named => named.setAttribute("aria-label", texts[named.dataset.label]));
  each("[data-language]", button => {
    button.setAttribute("aria-pressed", button.dataset.language === language);
  });
  picture.alt = texts.picture;
  show(shown);
}

// Wiring

function takeFile(files) {
  if (files?.length) ask({strokes: [], file: files[0]});
}

function rowOf(digit) {
  const row = element("li");
  const parts = [{className: "class", textContent: digit}, {className: "bar"}, {className: "percent"}];
  row.append(...parts.map(part => element("span", part)));
  return row;
}

for (let digit = 0; digit < 10; digit++) byId("bars").append(rowOf(digit));
byId("command").textContent = `curl -F file=@seven.jpg '${new URL("predict?save=false", location.href)}'`;
byId("page").hidden = false;
speak(preferredLanguage());
showQuestion();

followPointer(
  drawing,
  stroke => ask({strokes: [...question.strokes, stroke], file: null}),
  questionChanged,
);
byId("undo").addEventListener("click", undo);
byId("clear").addEventListener("click", clear);
byId("again").addEventListener("click", questionChanged);
for (const id of ["file", "camera"]) {
  byId(id).addEventListener("change", ({target}) => {
    takeFile(target.files);
    // So that the same file can be chosen again.
    target.value = "";
  });
}
each("[data-language]", button => button.addEventListener("click", () => {
  speak(button.dataset.language);
  remember();
}));
addEventListener("keydown", event => {
  if (event.key.toLowerCase() !== "z" || event.shiftKey || !(event.ctrlKey || event.metaKey)) return;
  event.preventDefault();
  undo();
});
addEventListener("paste", event => takeFile(event.clipboardData.files));
addEventListener("dragover", event => {
  // Otherwise the browser would open the picture in place of the page.
  event.preventDefault();
  byId("sheet").classList.add("awaited");
});
addEventListener("dragleave", event => {
  if (!event.relatedTarget) byId("sheet").classList.remove("awaited");
});
addEventListener("drop", event => {
  event.preventDefault();
  byId("sheet").classList.remove("awaited");
  takeFile(event.dataTransfer.files);
});
new ResizeObserver(showStrokes).observe(drawing);
for (const query of ["(prefers-color-scheme: dark)", "(forced-colors: active)"]) {
  matchMedia(query).addEventListener("change", showStrokes);
}
