
(() => {
  "use strict";
  const chart = document.getElementById("chart"), tip = document.getElementById("tip");
  const steps = [...chart.querySelectorAll(".step")];

  const hide = () => { tip.hidden = true; };
  const explain = (step, x, y) => {
    const [first, ...rest] = step.dataset.tip.split("\n");
    const title = document.createElement("strong");
    title.textContent = first;
    tip.replaceChildren(title, rest.join("\n"));
    tip.hidden = false;
    const { width, height } = tip.getBoundingClientRect();
    tip.style.left = `${Math.max(8, Math.min(x + 14, innerWidth - width - 8))}px`;
    tip.style.top = `${y + 18 + height > innerHeight ? Math.max(8, y - height - 10) : y + 18}px`;
  };
  // One step at a time is in the tab order; the arrow keys move to the others.
  const select = (step) => {
    for (const other of steps) other.tabIndex = other === step ? 0 : -1;
  };

  chart.addEventListener("pointermove", (event) => {
    const step = event.target.closest(".step");
    if (step) explain(step, event.clientX, event.clientY); else hide();
  });
  chart.addEventListener("pointerleave", hide);
  chart.addEventListener("focusin", (event) => {
    const step = event.target.closest(".step");
    select(step);
    const { left, top, height } = step.querySelector(".bar").getBoundingClientRect();
    explain(step, left, top + height);
  });
  chart.addEventListener("focusout", hide);
  chart.addEventListener("keydown", (event) => {
    const at = steps.indexOf(event.target);
    if (at < 0 || event.altKey || event.ctrlKey || event.metaKey) return;
    if (event.key === "Escape") return hide();
    const to = { ArrowDown: steps[at + 1], ArrowUp: steps[at - 1], Home: steps[0], End: steps.at(-1) }[event.key];
    if (!to) return;
    to.focus();
    event.preventDefault();
  });
  addEventListener("scroll", hide, { passive: true });

  for (const step of steps) step.setAttribute("aria-describedby", "tip");
  select(steps[0]);
})();
