// Which language the page speaks, and numbers in it.

import {TEXTS} from "./texts.js";

// No answer is certain: above MOST_PERCENT only that is said.
const MOST_PERCENT = 99.9;

let language = "en";

export function words() {
  return TEXTS[language];
}

export function preferredLanguage() {
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

export function remember(tag) {
  try {
    localStorage.language = tag;
  } catch {}
}

export function speak(tag) {
  language = document.documentElement.lang = tag;
  const texts = words();
  document.title = `${texts.title}: ${texts.tagline}`;
  each("[data-text]", worded => worded.textContent = texts[worded.dataset.text]);
  each("[data-alt]", image => image.alt = texts[image.dataset.alt]);
  each("[data-href]", link => link.setAttribute("href", texts.links[link.dataset.href]));
  each("[data-label]", named => {
    const label = texts[named.dataset.label];
    named.setAttribute("aria-label", label);
    if (named.localName === "button") named.title = label;
  });
  each("[data-language]", button => {
    button.setAttribute("aria-pressed", button.dataset.language === language);
  });
}

function each(selector, change) {
  document.querySelectorAll(selector).forEach(change);
}

export function percent(prob, over = ">") {
  return prob > MOST_PERCENT ? over + formatted(MOST_PERCENT) : formatted(prob);
}

export function percentInWords(prob) {
  return percent(prob, words().over);
}

export function formatted(prob) {
  return (prob / 100).toLocaleString(language, {style: "percent", maximumFractionDigits: 1});
}
