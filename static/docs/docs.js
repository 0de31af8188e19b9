// The OpenAPI document: samples to copy, and all of it in Swagger UI.

const HERE = "http://localhost:5000/";

const element = (name, properties) => Object.assign(document.createElement(name), properties);

function showSample({label, source}) {
  const text = source.replace(HERE, new URL(".", location));
  const code = element("pre", {textContent: text, tabIndex: 0});
  const copy = element("button", {type: "button", textContent: "Copy", ariaLabel: `Copy ${label}`});
  copy.addEventListener("click", async () => {
    await navigator.clipboard.writeText(text);
    copy.textContent = "Copied";
  });
  const box = element("div", {});
  // Browsers allow the clipboard to pages from localhost or by HTTPS alone.
  box.append(code, ...(navigator.clipboard ? [copy] : []));
  document.getElementById("samples").append(element("h2", {textContent: label}), box);
}

const isDark = matchMedia("(prefers-color-scheme: dark)");
const followTheme = () => document.documentElement.classList.toggle("dark-mode", isDark.matches);
isDark.addEventListener("change", followTheme);
followTheme();

const spec = await (await fetch("openapi.json")).json();
for (const sample of spec.paths["/predict"].post["x-codeSamples"]) showSample(sample);
SwaggerUIBundle({spec, dom_id: "#reference", validatorUrl: null, deepLinking: true, defaultModelsExpandDepth: 0});
