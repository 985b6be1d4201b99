// Building and finding elements. Text always goes in as text nodes, so nothing that a user or a file is called becomes markup.

/** The element with this id. */
export const byId = (id) => document.getElementById(id);

/** Creates an element. Attributes whose name begins with "on" are event listeners; null and false leave an attribute or a child out. */
export function el(tag, attributes = {}, ...children) {
  const node = document.createElement(tag);
  for (const [name, value] of Object.entries(attributes)) {
    if (value === null || value === undefined || value === false) continue;
    if (name.startsWith("on")) node.addEventListener(name.slice(2), value);
    else node.setAttribute(name, value === true ? "" : value);
  }
  node.append(...children.flat().filter((child) => child !== null && child !== undefined && child !== false));
  return node;
}

/** An icon of the sprite in index.html. */
export function icon(name) {
  const svg = document.createElementNS("http://www.w3.org/2000/svg", "svg");
  svg.setAttribute("class", "icon");
  svg.setAttribute("aria-hidden", "true");
  const use = document.createElementNS("http://www.w3.org/2000/svg", "use");
  use.setAttribute("href", `#i-${name}`);
  svg.append(use);
  return svg;
}

/** Sets the text of an element, only if it differs: an unchanged live region must not be read out again. */
export function setText(node, text) {
  if (node.textContent !== text) node.textContent = text;
}

/** Says something to screen readers. */
export function announce(text) {
  setText(byId("live"), text);
}
