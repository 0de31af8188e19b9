// Sends a drawing or a picture to the service. What comes back is an answer, {kind, …},
// the kind being the name of its sentence in texts.js.

import {paint} from "./drawing.js";
import {TEXTS} from "./texts.js";

// In percent. The probabilities are calibrated: below UNSURE a first answer is more
// often wrong than right.
const SURE = 90, UNSURE = 50;
// In pixels. A number of six digits leaves each as many as the service makes use of.
const DRAWING_WIDTH = 800, DRAWING_HEIGHT = 600;
const CONVERTED_SIDE = 1600;
// The service's default limit; one that is set lower refuses by itself.
const MAX_BYTES = 20_000_000;
// Types that are sent as they are; the user's own file name is not sent.
const NAMES = {"image/jpeg": "picture.jpg", "image/png": "picture.png"};

// What is sent: {blob, name, width, height}

export async function readDrawing(strokes, signal) {
  const canvas = paper(DRAWING_WIDTH, DRAWING_HEIGHT);
  paint(canvas, strokes, "black");
  return ask(await asPng(canvas), signal);
}

export async function readPicture({file, url}, signal) {
  const given = await toSend(file, url);
  return given.kind ? given : ask(given, signal);
}

async function toSend(file, url) {
  if (file.size > MAX_BYTES) return {kind: "too_many_bytes", limit: MAX_BYTES};
  const image = await decoded(url);
  const name = NAMES[file.type];
  if (name) return {blob: file, name, width: image?.naturalWidth, height: image?.naturalHeight};
  if (!image) return {kind: isHeic(file) ? "heic" : "unreadable"};
  const scale = Math.min(1, CONVERTED_SIDE / Math.max(image.naturalWidth, image.naturalHeight));
  const canvas = paper(Math.ceil(image.naturalWidth * scale), Math.ceil(image.naturalHeight * scale));
  canvas.getContext("2d").drawImage(image, 0, 0, canvas.width, canvas.height);
  return asPng(canvas);
}

function decoded(url) {
  const image = new Image();
  return new Promise(resolve => {
    image.onload = () => resolve(image.naturalWidth ? image : null);
    image.onerror = () => resolve(null);
    image.src = url;
  });
}

function isHeic({name, type}) {
  return /\.hei[cf]$/i.test(name) || /^image\/hei[cf]/.test(type);
}

function paper(width, height) {
  const canvas = Object.assign(document.createElement("canvas"), {width, height});
  const context = canvas.getContext("2d");
  context.fillStyle = "white";
  context.fillRect(0, 0, width, height);
  return canvas;
}

async function asPng(canvas) {
  const blob = await new Promise(resolve => canvas.toBlob(resolve));
  return {blob, name: NAMES["image/png"], width: canvas.width, height: canvas.height};
}

async function ask({blob, name, width, height}, signal) {
  const form = new FormData();
  form.append("file", blob, name);
  let response;
  let said;
  try {
    response = await fetch("predict?save=false&input=true", {method: "POST", body: form, signal});
    said = parsed(await response.text());
  } catch {
    return {kind: "unreachable"};
  }
  if (response.ok && said.classification_result) return {...recognition(said), width, height};
  return refusal(response, said);
}

function parsed(text) {
  try {
    return JSON.parse(text);
  } catch {
    return {};  // a proxy's own page
  }
}

function recognition({classification_result: ranking, box, input, digits, text, truncated}) {
  const only = {...ranking[0], box, ranking, input};
  if (!(digits?.length > 1)) return {kind: certainty([only], digits), digits: [only], rows: [1]};
  const rows = text.split("\n").map(row => row.length);
  // Of the digits that have no ranking of their own, that of the box has the one.
  digits = digits.map(digit => ({...(isSame(digit.box, box) ? only : {ranking: [digit]}), ...digit}));
  return {kind: certainty(digits), digits, rows, truncated};
}

function isSame(one, other) {
  return JSON.stringify(one) === JSON.stringify(other);
}

function certainty(shown, found = shown) {
  const least = found.length ? Math.min(...shown.map(({prob}) => prob)) : 0;
  if (least >= SURE) return "sure";
  return least >= UNSURE ? "likely" : "unsure";
}

export function isUnclear({prob}) {
  return prob < UNSURE;
}

function refusal({status, headers}, {error, code}) {
  if (status === 503 || status === 429) {
    return {kind: "busy", seconds: Number(headers.get("Retry-After"))};
  }
  if (code in TEXTS.en) return {kind: code};
  return error && status < 500 ? {kind: "refused", error} : {kind: "failed", status};
}
