// Runs before anything is painted, so that a chosen theme appears without a flash.
"use strict";
(() => {
	const root = document.documentElement;
	const kept = () => {
		try {
			return localStorage.getItem("waggle-theme");
		} catch {
			return null; // storage is forbidden: the system's theme holds
		}
	};
	const apply = (theme) => {
		if (theme === "light" || theme === "dark") root.dataset.theme = theme;
		else delete root.dataset.theme;
	};
	const system = matchMedia("(prefers-color-scheme: dark)");
	const shown = () => root.dataset.theme || (system.matches ? "dark" : "light");
	const changed = () => dispatchEvent(new Event("waggle:theme"));
	apply(kept());
	system.addEventListener("change", changed);

	// colour returns a custom property as a colour that a canvas understands.
	const colour = (name) => {
		const probe = document.createElement("span");
		probe.hidden = true;
		probe.style.color = `var(${name})`;
		document.body.append(probe);
		const value = getComputedStyle(probe).color;
		probe.remove();
		return value;
	};
	globalThis.waggle = { colour };

	document.addEventListener("DOMContentLoaded", () => {
		const button = document.getElementById("theme");
		if (!button) return;
		const label = () => {
			button.textContent = shown() === "dark" ? "Light theme" : "Dark theme";
		};
		label();
		button.hidden = false;
		addEventListener("waggle:theme", label);
		button.addEventListener("click", () => {
			const next = shown() === "dark" ? "light" : "dark";
			apply(next);
			try {
				localStorage.setItem("waggle-theme", next);
			} catch {
				// It holds for this page only.
			}
			changed();
		});
	});
})();
