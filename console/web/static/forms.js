// What forms can do more easily with scripts: files are dropped anywhere on the page, and
// a deletion is confirmed in a dialogue.
"use strict";
(() => {
	const upload = document.getElementById("upload");
	if (upload) {
		const input = upload.querySelector("input[type=file]");
		const root = document.documentElement;
		let depth = 0;
		const files = (event) => event.dataTransfer?.types.includes("Files");
		const show = (by) => {
			depth = Math.max(0, depth + by);
			root.classList.toggle("dropping", depth > 0);
		};
		addEventListener("dragenter", (event) => files(event) && show(1));
		addEventListener("dragleave", (event) => files(event) && show(-1));
		addEventListener("dragover", (event) => {
			if (files(event)) event.preventDefault();
		});
		addEventListener("drop", (event) => {
			if (!files(event)) return;
			event.preventDefault();
			show(-depth);
			if (event.dataTransfer.files.length === 0) return;
			input.files = event.dataTransfer.files;
			upload.requestSubmit();
		});
		const button = upload.querySelector("button"), label = button.textContent;
		upload.addEventListener("submit", () => {
			button.textContent = "Uploading…";
		});
		addEventListener("pageshow", () => {
			button.textContent = label; // also where the browser goes back to this page
		});
	}

	const dialog = document.getElementById("confirm");
	if (dialog) {
		const form = dialog.querySelector("form");
		document.addEventListener("click", (event) => {
			const link = event.target.closest("a[data-confirm]");
			if (!link || event.ctrlKey || event.metaKey || event.shiftKey || event.button !== 0) return;
			event.preventDefault();
			dialog.querySelector("h2").textContent = link.dataset.confirm;
			if (link.dataset.confirmText) dialog.querySelector("p").textContent = link.dataset.confirmText;
			if (link.dataset.confirmVerb) form.querySelector("button.danger").textContent = link.dataset.confirmVerb;
			form.action = link.href;
			dialog.showModal();
		});
		dialog.querySelector("button[type=button]").addEventListener("click", () => dialog.close());
	}

	for (const button of document.querySelectorAll("button[data-copy]")) {
		if (!navigator.clipboard) continue; // not over plain HTTP from elsewhere
		button.hidden = false;
		button.addEventListener("click", async () => {
			await navigator.clipboard.writeText(document.getElementById(button.dataset.copy).textContent.trim());
			button.textContent = "Copied";
		});
	}
})();
