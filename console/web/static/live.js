// Keeps the blocks of a page as they are now: the server sends each that changed, as HTML
// that it rendered, and only what differs is put into the page, so that focus, selection
// and scroll position stay.
"use strict";
(() => {
	// patch makes the children of one node those of another.
	const patch = (from, to) => {
		const olds = [...from.childNodes], news = [...to.childNodes];
		const keyed = new Map(olds.filter((n) => n.id).map((n) => [n.id, n]));
		let at = from.firstChild;
		for (const next of news) {
			let old = next.id && keyed.get(next.id);
			if (old && old.parentNode === from) {
				if (old !== at) from.insertBefore(old, at);
			} else {
				old = at && !at.id && !next.id && at.nodeType === next.nodeType && at.nodeName === next.nodeName ? at : null;
			}
			if (!old) {
				from.insertBefore(document.importNode(next, true), at);
				continue;
			}
			update(old, next);
			at = old.nextSibling;
		}
		while (at) {
			const rest = at.nextSibling;
			at.remove();
			at = rest;
		}
	};
	const update = (old, next) => {
		if (old.nodeType !== Node.ELEMENT_NODE) {
			if (old.nodeValue !== next.nodeValue) old.nodeValue = next.nodeValue;
			return;
		}
		if (old.isEqualNode(next)) return;
		for (const { name } of [...old.attributes]) {
			const kept = name === "open" && old.nodeName === "DETAILS"; // opened by whoever reads it
			if (!next.hasAttribute(name) && !kept) old.removeAttribute(name);
		}
		for (const { name, value } of next.attributes) {
			if (old.getAttribute(name) !== value) old.setAttribute(name, value);
		}
		patch(old, next);
	};

	const say = (state, text) => {
		const line = document.getElementById("live-state");
		if (!line) return;
		line.className = state;
		line.querySelector("span:last-child").textContent = text;
	};
	const url = document.body.dataset.live;
	if (!url || !globalThis.EventSource) return;
	let source = null, ended = false;
	const stop = () => {
		source?.close();
		source = null;
	};
	const start = () => {
		if (source || ended || document.hidden) return;
		source = new EventSource(url);
		source.addEventListener("open", () => say("live-on", "Live"));
		source.addEventListener("block", (event) => {
			const { id, html } = JSON.parse(event.data);
			const block = document.getElementById(id);
			if (!block) return;
			const holder = document.createElement("template");
			holder.innerHTML = html;
			patch(block, holder.content);
			dispatchEvent(new CustomEvent("waggle:live", { detail: { id } }));
		});
		// The server says that there is no more to come: the session has ended, or what the
		// page shows is gone.
		source.addEventListener("end", (event) => {
			ended = true;
			stop();
			say("live-off", event.data);
		});
		source.addEventListener("error", () => {
			const refused = source?.readyState === EventSource.CLOSED;
			say("live-off", refused ? "Not live: reload the page" : "Connection lost, trying again");
			if (refused) stop();
		});
	};
	// A page that nobody sees keeps no connection: a browser has few of them for a server.
	document.addEventListener("visibilitychange", () => {
		if (document.hidden) stop();
		else start();
	});
	addEventListener("pagehide", stop);
	addEventListener("pageshow", start);
	start();
})();
