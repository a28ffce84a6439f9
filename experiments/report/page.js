const field = document.getElementById("search");
const claims = [...document.querySelectorAll(".claim")];
const groups = [...document.querySelectorAll("[data-group], .figure")];
const folded = [...document.querySelectorAll("details")];

// What a claim is searched by: its text, short names spelled out, and its statements.
const words = new Map(claims.map((claim) => [claim, [
  claim.id, claim.textContent, claim.dataset.search,
  ...[...claim.querySelectorAll("abbr")].map((name) => name.title),
].join(" ").toLowerCase()]));

function search() {
  const asked = field.value.toLowerCase().split(/\s+/).filter(Boolean);
  const found = claims.filter((claim) => {
    const matches = asked.every((word) => words.get(claim).includes(word));
    claim.hidden = !matches;
    return matches;
  });
  groups.forEach((group) => {
    const some = found.some((claim) => group.contains(claim));
    group.hidden = asked.length > 0 && !some;
    if (group.dataset.group === undefined) return;
    [...group.children].forEach((part) => {
      if (part.querySelector(".claim")) part.open = asked.length > 0;
      else if (!part.matches("h2")) part.hidden = asked.length > 0;
    });
  });
  document.getElementById("matches").textContent =
    asked.length ? `${found.length} of ${claims.length} claims` : "";
}

function follow() {
  const name = decodeURIComponent(location.hash.slice(1));
  if (field && name.startsWith("search=")) {
    field.value = name.slice("search=".length);
    search();
    return;
  }
  const target = document.getElementById(name);
  for (let part = target; part; part = part.parentElement) {
    if (part.matches("details")) part.open = true;
  }
  if (target) target.scrollIntoView();
}

if (field) {
  field.closest(".search").hidden = false;
  field.oninput = () => {
    search();
    const asked = field.value ? `#search=${encodeURIComponent(field.value)}` : "";
    history.replaceState(null, "", location.pathname + asked);
  };
}
addEventListener("hashchange", follow);
follow();

let closed = [];
const pictures = [...document.querySelectorAll("img")];
const load = () => pictures.forEach((picture) => { picture.loading = "eager"; });
addEventListener("beforeprint", () => {
  load();
  closed = folded.filter((part) => !part.open);
  closed.forEach((part) => { part.open = true; });
});
addEventListener("afterprint", () => closed.forEach((part) => { part.open = false; }));

// A browser may print before it has loaded the pictures that were not reached.
const button = document.getElementById("print");
if (button) {
  button.parentElement.hidden = false;
  button.onclick = () => {
    load();
    Promise.allSettled(pictures.map((picture) => picture.decode())).then(() => print());
  };
}
