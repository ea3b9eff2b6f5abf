// Puts the rack map into the page of a transfer: pointer, wheel and keys, what is under them
// in words, why a host is told of whom, and the map as it is now.
"use strict";
(() => {
	const holder = document.getElementById("racks");
	if (!holder) return;
	const canvas = holder.querySelector("canvas");
	const tip = holder.querySelector(".rack-tip");
	const side = holder.querySelector(".rack-side");
	const legend = document.getElementById("rack-legend");
	const words = document.getElementById("rack-text");
	const pick = document.getElementById("rack-pick");
	const SEEDER = 1, CROSSING = 4, STANDBY = 8, STALLED = 16, UNKNOWN = 32, STRANDED = 64; // flags of the API
	const EVERY = 3000, SHARE = 50; // ms between two looks, and how many times longer than one takes
	const grouped = new Intl.NumberFormat("en-GB");

	const racks = new waggle.RackMap(canvas);
	waggle.racks = racks.frames;

	const percent = (thousandths) => `${Math.floor(thousandths / 10)} %`;
	const describe = (host) => {
		const { address, progress, flags, client } = racks.map.hosts, flag = flags[host];
		const said = [address[host], flag & UNKNOWN ? "progress not known" : flag & SEEDER ? "has everything" : percent(progress[host])];
		if (flag & CROSSING) said.push(flag & SEEDER ? "exporter" : "importer");
		if (flag & STANDBY) said.push("standby");
		if (flag & STALLED) said.push("replaced: it got nothing");
		if (flag & STRANDED) said.push("no way to a seeder");
		if (racks.map.clients[client[host]]) said.push(racks.map.clients[client[host]]);
		said.push(waggle.rackName(racks.map.racks[racks.rackOf[host]]));
		return said;
	};
	const describeRack = (index) => {
		const rack = racks.map.racks[index];
		const said = [waggle.rackName(rack), `${grouped.format(rack.leechers)} leechers, ${grouped.format(rack.seeders)} seeders`];
		if (rack.progress !== undefined) said.push(percent(rack.progress * 1000));
		said.push(`${grouped.format(rack.leases)} leases`);
		if (rack.starving) said.push("starving: no importer has a way to a seeder");
		if (rack.waiting) said.push("waiting: other torrents have its bandwidth");
		return said;
	};

	// What is under the pointer, or selected by keys.
	const showTip = (x, y) => {
		tip.hidden = racks.hovered < 0 && racks.hoveredRack < 0;
		if (tip.hidden) return;
		tip.textContent = (racks.hovered >= 0 ? describe(racks.hovered) : describeRack(racks.hoveredRack)).join("\n");
		const below = y + 14 + tip.offsetHeight <= canvas.clientHeight;
		tip.style.left = `${Math.max(0, Math.min(x + 14, canvas.clientWidth - tip.offsetWidth - 4))}px`;
		tip.style.top = `${below ? y + 14 : Math.max(0, y - tip.offsetHeight - 10)}px`;
	};
	const hover = (x, y) => {
		const found = racks.at(x, y);
		if (found.host !== racks.hovered || found.rack !== racks.hoveredRack) {
			racks.hovered = found.host;
			racks.hoveredRack = found.rack;
			racks.ask();
		}
		showTip(x, y);
	};
	const leave = () => {
		racks.hovered = racks.hoveredRack = -1;
		tip.hidden = true;
		racks.ask();
	};
	const select = (host) => {
		racks.selected = host;
		pick.textContent = host < 0 ? "" : describe(host).join(", ");
		racks.ask();
	};

	const choose = (host) => {
		select(host);
		if (host < 0) return leave();
		racks.hovered = host;
		racks.hoveredRack = racks.rackOf[host];
		const end = racks.reveal(host);
		showTip(end.x, end.y);
	};
	// step selects the host so many places further, or the next rack's.
	const step = (by) => {
		if (racks.selected < 0) return choose(racks.boxes.find((b) => b.hosts.length)?.hosts[0] ?? -1);
		const box = racks.boxes[racks.rackOf[racks.selected]], to = racks.placeOf[racks.selected] + by;
		if (to >= 0 && to < box.hosts.length) return choose(box.hosts[to]);
		const way = Math.sign(by);
		for (let i = box.index + way; i >= 0 && i < racks.boxes.length; i += way) {
			const hosts = racks.boxes[i].hosts;
			if (hosts.length) return choose(way > 0 ? hosts[0] : hosts.at(-1));
		}
	};
	const aRow = () => (racks.selected < 0 ? 1 : racks.boxes[racks.rackOf[racks.selected]].columns);
	const zoomMiddle = (by) => racks.zoom(by, canvas.clientWidth / 2, canvas.clientHeight / 2);
	const keys = {
		ArrowRight: () => step(1),
		ArrowLeft: () => step(-1),
		ArrowDown: () => step(aRow()),
		ArrowUp: () => step(-aRow()),
		Enter: () => racks.selected >= 0 && explain(racks.selected),
		Escape: () => {
			choose(-1);
			closeSide();
		},
		"+": () => zoomMiddle(1.25),
		"=": () => zoomMiddle(1.25),
		"-": () => zoomMiddle(0.8),
		0: () => racks.fit(),
	};
	canvas.addEventListener("keydown", (event) => {
		if (!racks.map || event.ctrlKey || event.metaKey || event.altKey || !keys[event.key]) return;
		event.preventDefault();
		keys[event.key]();
	});

	// The explanation is that of the peer's own page.
	let explaining = 0;
	const explain = async (host) => {
		const address = racks.map.hosts.address[host], turn = ++explaining;
		const url = holder.dataset.peers + encodeURIComponent(address);
		side.hidden = false;
		holder.classList.remove("alone");
		side.replaceChildren(sideHead(address, url));
		try {
			const answer = await fetch(url, { headers: { Accept: "text/html" } });
			const page = new DOMParser().parseFromString(await answer.text(), "text/html");
			if (turn !== explaining) return;
			const found = page.getElementById("explanation");
			side.append(...(found ? found.childNodes : ["There is no explanation now: try again."]));
		} catch {
			if (turn === explaining) side.append("The tracker does not answer.");
		}
	};
	const sideHead = (address, url) => {
		const head = document.createElement("div"), title = document.createElement("h3"), link = document.createElement("a"), close = document.createElement("button");
		head.className = "head";
		link.href = url;
		link.className = "mono";
		link.textContent = address;
		title.append(link);
		close.type = "button";
		close.className = "plain end";
		close.textContent = "Close";
		close.addEventListener("click", () => {
			closeSide();
			canvas.focus();
		});
		head.append(title, close);
		return head;
	};
	const closeSide = () => {
		explaining++;
		side.hidden = true;
		holder.classList.add("alone");
		side.replaceChildren();
	};

	// Pointers: one drags or clicks, two zoom.
	const pointers = new Map();
	let moved = 0;
	const place = (event) => {
		const box = canvas.getBoundingClientRect();
		return { x: event.clientX - box.left, y: event.clientY - box.top };
	};
	canvas.addEventListener("pointerdown", (event) => {
		if (event.button !== 0) return;
		canvas.setPointerCapture(event.pointerId);
		pointers.set(event.pointerId, place(event));
		moved = 0;
	});
	canvas.addEventListener("pointermove", (event) => {
		if (!racks.map) return;
		const now = place(event), before = pointers.get(event.pointerId);
		if (!before) return hover(now.x, now.y);
		if (pointers.size === 1) {
			moved += Math.hypot(now.x - before.x, now.y - before.y);
			if (moved > 4) {
				racks.move(now.x - before.x, now.y - before.y);
				leave();
			}
		} else {
			const other = [...pointers].find(([id]) => id !== event.pointerId)[1];
			const was = Math.hypot(before.x - other.x, before.y - other.y);
			if (was > 0) racks.zoom(Math.hypot(now.x - other.x, now.y - other.y) / was, (now.x + other.x) / 2, (now.y + other.y) / 2);
			moved = Infinity;
		}
		pointers.set(event.pointerId, now);
	});
	const up = (event) => {
		if (!pointers.delete(event.pointerId) || !racks.map || moved > 4 || event.type !== "pointerup") return;
		const point = place(event), { host } = racks.at(point.x, point.y);
		select(host);
		if (host >= 0) explain(host);
	};
	canvas.addEventListener("pointerup", up);
	canvas.addEventListener("pointercancel", up);
	canvas.addEventListener("pointerleave", () => pointers.size === 0 && leave());
	canvas.addEventListener("wheel", (event) => {
		// The wheel scrolls the page until the map was clicked or has the focus.
		if (!racks.map || (document.activeElement !== canvas && !event.ctrlKey && !event.metaKey)) return;
		event.preventDefault();
		const point = place(event);
		racks.zoom(Math.exp(-event.deltaY * (event.deltaMode === 1 ? 0.03 : 0.0015)), point.x, point.y);
	}, { passive: false });
	canvas.addEventListener("dblclick", (event) => {
		const point = place(event);
		racks.zoom(1.8, point.x, point.y);
	});

	// summary is the map in words.
	const summary = (map) => {
		const starving = map.racks.filter((rack) => rack.starving).map(waggle.rackName);
		const count = map.racks.filter((rack) => rack.path).length;
		let text = `${grouped.format(count)} racks, ${grouped.format(map.hosts.address.length)} hosts, ${grouped.format(map.leases.length)} leases.`;
		if (starving.length) text += ` Starving: ${starving.slice(0, 12).join(", ")}${starving.length > 12 ? `, and ${starving.length - 12} more` : ""}.`;
		else text += " No rack starves.";
		if (map.left_out) text += ` ${grouped.format(map.left_out)} peers are left out of the map.`;
		return text;
	};
	const show = (map) => {
		const empty = map.hosts.address.length === 0;
		holder.hidden = legend.hidden = empty;
		if (!empty) racks.show(map);
		const text = empty ? "No peer of this torrent is known." : summary(map);
		if (words.textContent !== text) words.textContent = text;
	};

	let tag = null, timer = 0, near = true, loading = false;
	// fail says what is wrong until the whole map comes again.
	const fail = (text) => {
		words.textContent = text;
		tag = null;
	};
	const load = async () => {
		clearTimeout(timer);
		if (document.hidden || !near || loading) return;
		loading = true;
		const began = performance.now();
		let wait = 10 * EVERY; // after a failure
		try {
			const answer = await fetch(holder.dataset.map, { cache: "no-store", headers: tag ? { "If-None-Match": tag } : {} });
			if (answer.ok) {
				tag = answer.headers.get("ETag");
				show(await answer.json());
			}
			if (answer.ok || answer.status === 304) wait = Math.max(EVERY, SHARE * (performance.now() - began));
			else fail("The map is as it was: reload the page.");
		} catch {
			fail("The tracker does not answer; the map is as it was.");
		} finally {
			loading = false;
		}
		timer = setTimeout(load, wait);
	};
	document.addEventListener("visibilitychange", load);
	new IntersectionObserver((entries) => {
		near = entries.at(-1).isIntersecting || holder.hidden;
		if (near) load();
	}, { rootMargin: "200px" }).observe(holder);
	new ResizeObserver(() => {
		if (!racks.map) return;
		tip.hidden = true;
		if (racks.touched) racks.ask();
		else racks.fit();
	}).observe(canvas);
	addEventListener("waggle:theme", () => racks.readColours());
	load();
})();
