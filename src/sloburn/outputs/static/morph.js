// Turns one element into another by changing only what differs, so focus, scroll, selection and hover stay.

/** Make `old` look like `fresh`; both are the same kind of element. */
export function morph(old, fresh) {
  if (old.hasAttribute("data-keep")) return;
  if (old.dataset.hold === "all" && held(old)) return;
  syncAttributes(old, fresh);
  syncChildren(old, old.dataset.hold === "order" ? inPlace(old, fresh) : [...fresh.childNodes]);
}

// Nothing moves under a pointer or away from a keyboard's focus.
function held(element) {
  return element.matches(":hover, :focus-within");
}

function syncAttributes(old, fresh) {
  for (const { name } of [...old.attributes]) {
    if (!fresh.hasAttribute(name)) old.removeAttribute(name);
  }
  for (const { name, value } of [...fresh.attributes]) {
    if (old.getAttribute(name) !== value) old.setAttribute(name, value);
  }
}

// White space between rows would count as a neighbour, and a row that is moved past it loses its focus.
function inPlace(old, fresh) {
  for (const node of [...old.childNodes]) {
    if (node.nodeType === Node.TEXT_NODE) node.remove();
  }
  return held(old) ? inOldOrder(old, fresh) : [...fresh.children];
}

function inOldOrder(old, fresh) {
  const places = new Map([...old.children].map((child, place) => [child.id, place]));
  const place = (child) => places.get(child.id) ?? places.size;
  return [...fresh.children].sort((a, b) => place(a) - place(b));
}

function syncChildren(old, wanted) {
  const ids = new Set(wanted.map((fresh) => fresh.id));
  for (const child of [...old.children]) {
    if (child.id && !ids.has(child.id)) child.remove(); // first, so that nobody has to be moved past it
  }
  const named = new Map([...old.children].filter((child) => child.id).map((child) => [child.id, child]));
  let next = old.firstChild;
  for (const fresh of wanted) {
    const match = (fresh.id && named.get(fresh.id)) || (next && alike(next, fresh) ? next : null);
    if (!match) {
      old.insertBefore(document.importNode(fresh, true), next);
    } else {
      if (match === next) next = next.nextSibling;
      else old.insertBefore(match, next);
      sync(match, fresh);
    }
  }
  while (next) {
    const gone = next;
    next = next.nextSibling;
    gone.remove();
  }
}

function alike(old, fresh) {
  return old.nodeType === fresh.nodeType && old.nodeName === fresh.nodeName && (old.id || "") === (fresh.id || "");
}

function sync(old, fresh) {
  if (old.nodeType === Node.ELEMENT_NODE) morph(old, fresh);
  else if (old.nodeValue !== fresh.nodeValue && !selected(old)) old.nodeValue = fresh.nodeValue;
}

function selected(node) {
  const selection = document.getSelection();
  return Boolean(selection && !selection.isCollapsed && selection.containsNode(node, true));
}
