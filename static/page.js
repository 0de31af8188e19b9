// The page: what was drawn or chosen, its history, and what each control does.

import {followCamera, hasCamera, openCamera} from "./camera.js";
import {followPointer, paint} from "./drawing.js";
import {preferredLanguage, remember, speak, words} from "./language.js";
import {readDrawing, readPicture} from "./reading.js";
import {
  byId, chooseAt, hideFrames, isError, isWorthAnotherTry, prepareBars, show, showAgain, showList,
} from "./showing.js";

// How long the pen must rest before the drawing is sent.
const PAUSE_MS = 120;

const image = byId("picture");
const drawing = byId("drawing");

// A question is a drawing or pictures, {file, url, answer}, of which the one `at` is shown.
const EMPTY = {strokes: [], pictures: [], at: 0};
let question = EMPTY;
const past = [], future = [];
let asking = new AbortController();
let pause = 0;

// The question

function ask(next) {
  past.push(question);
  future.length = 0;
  question = next;
  questionChanged();
}

function step(from, to) {
  if (!from.length) return;
  to.push(question);
  question = from.pop();
  questionChanged();
}

const undo = () => step(past, future);
const redo = () => step(future, past);

function clear() {
  if (!isEmpty(question)) ask(EMPTY);
}

function isEmpty({strokes, pictures}) {
  return !strokes.length && !pictures.length;
}

function questionChanged() {
  asking.abort();
  clearTimeout(pause);
  showQuestion();
  if (isEmpty(question)) return show({kind: "idle"});
  if (question.pictures.length) showPictureAnswer();
  asking = new AbortController();
  pause = setTimeout(readQuestion, PAUSE_MS, asking.signal);
}

async function readQuestion(signal) {
  const {strokes, pictures} = question;
  if (pictures.length) return readPictures(pictures, signal);
  byId("answered").setAttribute("aria-busy", "true");
  const answer = await readDrawing(strokes, signal);
  if (!signal.aborted) show(answer);
}

async function readPictures(pictures, signal) {
  for (const picture of pictures) {
    if (picture.answer && !isWorthAnotherTry(picture.answer)) continue;
    const answer = await readPicture(picture, signal);
    if (signal.aborted) return;
    picture.answer = isError(answer) ? {...answer, name: picture.file.name} : answer;
    if (pictures.length === 1 && isFault(answer)) return takeBack(picture.answer);
    showPictures();
    if (picture === shownPicture()) showPictureAnswer();
  }
}

function isFault(answer) {
  return isError(answer) && !isWorthAnotherTry(answer);
}

// What was there before a picture that cannot be read stays.
function takeBack(answer) {
  question = past.pop();
  showQuestion();
  show(answer);
}

function shownPicture() {
  return question.pictures[question.at];
}

function showPictureAnswer() {
  show(shownPicture().answer ?? {kind: "reading"});
}

function choosePicture(index) {
  question.at = index;
  showQuestion();
  showPictureAnswer();
}

function showQuestion() {
  byId("undo").setAttribute("aria-disabled", !past.length);
  byId("redo").setAttribute("aria-disabled", !future.length);
  byId("clear").setAttribute("aria-disabled", isEmpty(question));
  hideFrames();
  showPictures();
  showStrokes();
  const picture = shownPicture();
  if (picture && image.src !== picture.url) image.src = picture.url;
  showField();
}

// A picture shows once it is loaded; one that cannot be leaves the field to draw on.
function showField() {
  const isPicture = question.pictures.length > 0 && image.complete && image.naturalWidth > 0;
  image.hidden = !isPicture;
  drawing.hidden = isPicture;
  byId("hint").hidden = isPicture || question.strokes.length > 0;
}

function showStrokes() {
  drawing.width = Math.round(drawing.clientWidth * devicePixelRatio);
  drawing.height = Math.round(drawing.clientHeight * devicePixelRatio);
  paint(drawing, question.strokes, getComputedStyle(drawing).color);
}

function showPictures() {
  showList(question.pictures, question.at, choosePicture);
}

function showLanguage(tag) {
  speak(tag);
  image.alt = words().picture;
  showPictures();
  showAgain();
}

// What a visitor gives

function take(files) {
  const pictures = Array.from(files ?? [], file => ({file, url: URL.createObjectURL(file)}));
  if (pictures.length) ask({strokes: [], pictures, at: 0});
}

// Pasted or dropped: files, or else the address of a picture.
function takeTransfer(transfer) {
  take(transfer.files);
  const text = transfer.getData("text/uri-list") || transfer.getData("text");
  if (!transfer.files.length && /^\s*(https?|data|file):/i.test(text)) show({kind: "link"});
}

async function takeSample({currentTarget: button}) {
  const {src} = button.querySelector("img");
  try {
    const blob = await (await fetch(src)).blob();
    take([new File([blob], src.split("/").pop(), {type: blob.type})]);
  } catch {
    show({kind: "unreachable"});
  }
}

async function photograph() {
  if (isHandheld.matches) return byId("capture").click();
  await openCamera().catch(() => show({kind: "camera"}));
}

// Wiring

const isHandheld = matchMedia("(hover: none) and (pointer: coarse)");

async function showCameraButton() {
  byId("photograph").hidden = !isHandheld.matches && !await hasCamera();
}

function listen(target, event, action) {
  target.addEventListener(event, action);
}

function pressed(event) {
  if (!event.ctrlKey && !event.metaKey) return;
  const key = event.key.toLowerCase();
  if (key !== "z" && key !== "y") return;
  event.preventDefault();
  if (key === "y" || event.shiftKey) redo();
  else undo();
}

prepareBars();
byId("command").textContent = `curl -F file=@seven.jpg '${new URL("predict?save=false", location.href)}'`;
byId("page").hidden = false;
showLanguage(preferredLanguage());
showQuestion();
showCameraButton();

followPointer(drawing, {
  began: stroke => ask({...EMPTY, strokes: [...question.strokes, stroke]}),
  grew: questionChanged,
  tapped: chooseAt,
});
followCamera(take);
listen(image, "load", showField);
listen(image, "click", chooseAt);
listen(byId("undo"), "click", undo);
listen(byId("redo"), "click", redo);
listen(byId("clear"), "click", clear);
listen(byId("again"), "click", questionChanged);
listen(byId("choose"), "click", () => byId("file").click());
listen(byId("photograph"), "click", photograph);
for (const id of ["file", "capture"]) {
  listen(byId(id), "change", ({target}) => {
    take(target.files);
    // So that the same file can be chosen again.
    target.value = "";
  });
}
for (const button of document.querySelectorAll("[data-sample]")) listen(button, "click", takeSample);
for (const button of document.querySelectorAll("[data-language]")) {
  listen(button, "click", () => {
    showLanguage(button.dataset.language);
    remember(button.dataset.language);
  });
}
listen(window, "keydown", pressed);
listen(window, "paste", event => takeTransfer(event.clipboardData));
listen(window, "dragover", event => {
  // Otherwise the browser would open the picture in place of the page.
  event.preventDefault();
  byId("sheet").classList.add("awaited");
});
listen(window, "dragleave", event => {
  if (!event.relatedTarget) byId("sheet").classList.remove("awaited");
});
listen(window, "drop", event => {
  event.preventDefault();
  byId("sheet").classList.remove("awaited");
  takeTransfer(event.dataTransfer);
});
listen(isHandheld, "change", showCameraButton);
if (navigator.mediaDevices) listen(navigator.mediaDevices, "devicechange", showCameraButton);
new ResizeObserver(showStrokes).observe(drawing);
for (const query of ["(prefers-color-scheme: dark)", "(forced-colors: active)"]) {
  listen(matchMedia(query), "change", showStrokes);
}
