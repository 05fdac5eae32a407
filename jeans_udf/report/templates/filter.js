// Shows and hides the gallery's cards as the form says. Without it the page shows all of them.
"use strict";
{
  const form = document.getElementById("filters");
  const status = document.getElementById("shown");
  const cards = [...document.querySelectorAll("[data-status]")].map((card) => ({
    card,
    status: card.dataset.status,
    text: card.dataset.text.toLowerCase(),
    facts: JSON.parse(card.dataset.garments || "[]"),
    garments: [...card.querySelectorAll(".garment")],
  }));
  const groups = [...form.querySelectorAll("select[data-group]")];

  const number = (count) => count.toLocaleString("en");

  const meets = (fact, from, to) =>
    fact.score >= from &&
    fact.score <= to &&
    groups.every(({ dataset, value }) => !value || (fact.labels[dataset.group] || []).includes(value));

  // What differs from the form as it was sent: the least that a link must say.
  const state = () => {
    const changed = new URLSearchParams();
    for (const [name, value] of new FormData(form)) {
      const control = form.elements[name];
      const plain = control.type === "range" ? control.defaultValue : name === "view" ? "photos" : "";
      if (value !== plain) changed.set(name, value);
    }
    return changed.toString();
  };

  const apply = () => {
    const { q, status: wanted, from, to } = form.elements;
    const words = q.value.toLowerCase().split(/\s+/).filter(Boolean);
    const least = Number(from.value);
    const most = Number(to.value);
    const narrowed = least > 0 || most < 100 || groups.some((group) => group.value);
    let shown = 0;
    let cutouts = 0;
    for (const one of cards) {
      const met = one.facts.map((fact) => meets(fact, least, most));
      const stands =
        (!wanted.value || one.status === wanted.value) &&
        words.every((word) => one.text.includes(word)) &&
        (!narrowed || met.includes(true));
      if (one.card.hidden === stands) one.card.hidden = !stands;
      one.garments.forEach((garment, place) => garment.classList.toggle("other", !met[place]));
      if (!stands) continue;
      shown += 1;
      cutouts += one.garments.filter((garment, place) => met[place]).length;
    }
    for (const part of document.querySelectorAll(".part")) {
      part.hidden = !part.querySelector("[data-status]:not([hidden])");
    }
    for (const range of [from, to]) range.nextElementSibling.value = range.value + "%";
    document.getElementById("nothing").hidden = shown > 0;
    const images = `${number(shown)} of ${number(cards.length)} images`;
    const inside = form.elements.view?.value === "cutouts" ? `${number(cutouts)} cut-outs in ` : "";
    status.textContent = `${inside}${images} shown`;
  };

  const keep = () => {
    apply();
    history.replaceState(null, "", "#" + state());
  };

  // A hash without "=" is a section of the page and leaves the form as it is.
  const restore = () => {
    const hash = location.hash.slice(1);
    if (!hash.includes("=")) return false;
    form.reset();
    for (const [name, value] of new URLSearchParams(hash)) {
      const control = form.elements.namedItem(name);
      if (!control || (control.type === "range" && Number.isNaN(Number(value)))) continue;
      control.value = value;
      // A label that this page does not have: everything, not nothing.
      if (control.tagName === "SELECT" && control.selectedIndex < 0) control.selectedIndex = 0;
    }
    return true;
  };

  form.addEventListener("submit", (event) => event.preventDefault());
  // The controls hold their first values only after the event.
  form.addEventListener("reset", () => setTimeout(keep));
  // At the page: the choice of a view stands outside of the form.
  document.addEventListener("input", ({ target }) => target.form === form && keep());
  window.addEventListener("hashchange", () => restore() && apply());
  form.hidden = false;
  const linked = restore();
  apply();
  if (linked) document.getElementById("gallery").scrollIntoView();
}
