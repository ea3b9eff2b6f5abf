// A map of racks on a canvas: every rack a box, its hosts as cells that fill up, and curves
// between those that may exchange data across uplinks. It draws when something changed,
// with one path a colour, and finds what is at a point by arithmetic. racks.js puts it into
// a page.
"use strict";
(() => {
	const CELL = 12, STEP = 14, PAD = 6, HEAD = 16, GAP = 12; // in units of the map
	const CROSSING = 4, STANDBY = 8, UNKNOWN = 32, STRANDED = 64; // flags of the API
	const MARGIN = 10; // around the whole map, in pixels
	const COLOURS = ["surface", "line", "line-strong", "text", "muted", "accent", "accent-fill", "good", "bad", "empty", "lease"];

	waggle.rackName = (rack) => rack.path || "not located";

	waggle.RackMap = class {
		// What is picked, as positions of hosts and racks; -1 is nothing.
		hovered = -1;
		hoveredRack = -1;
		selected = -1;

		map = null; // as the API has it
		boxes = []; // by rack
		rackOf = []; // by host
		placeOf = []; // of a host in its rack
		touched = false; // somebody zoomed or moved it
		frames = { count: 0, last: 0, worst: 0 }; // times in ms

		#canvas;
		#context;
		#lines = []; // of boxes, from top to bottom
		#world = { width: 1, height: 1 };
		#view = { scale: 1, x: 0, y: 0 };
		#x = []; // of cells, by host
		#y = [];
		#colours = {};
		#wanted = false;

		constructor(canvas) {
			this.#canvas = canvas;
			this.#context = canvas.getContext("2d");
			this.readColours();
		}

		// readColours reads those of the theme, and draws with them.
		readColours() {
			for (const name of COLOURS) this.#colours[name] = waggle.colour(`--${name}`);
			this.ask();
		}

		// show takes the map as it is now. Where hosts came or went it is laid out again, and
		// what was selected stays so.
		show(map) {
			const first = !this.map;
			const chosen = this.selected >= 0 ? this.map.hosts.address[this.selected] : null;
			const stays = !first && sameHosts(this.map, map);
			this.map = map;
			if (stays) {
				this.boxes.forEach((box, i) => (box.rack = map.racks[i]));
			} else {
				this.#lay();
				this.selected = chosen === null ? -1 : map.hosts.address.indexOf(chosen);
				this.hovered = this.hoveredRack = -1;
				if (!this.touched) this.fit();
			}
			this.ask();
		}

		// fit shows all of the map.
		fit() {
			const width = this.#canvas.clientWidth, height = this.#canvas.clientHeight, world = this.#world;
			const scale = Math.min((width - 2 * MARGIN) / world.width, (height - 2 * MARGIN) / world.height, 2.5);
			this.#view = { scale, x: (width - world.width * scale) / 2, y: (height - world.height * scale) / 2 };
			this.touched = false;
			this.ask();
		}

		// zoom changes the scale around a point of the canvas.
		zoom(by, x, y) {
			const view = this.#view;
			const scale = Math.min(12, Math.max(0.05, view.scale * by));
			const real = scale / view.scale;
			this.#view = { scale, x: x - (x - view.x) * real, y: y - (y - view.y) * real };
			this.touched = true;
			this.ask();
		}

		move(x, y) {
			this.#view.x += x;
			this.#view.y += y;
			this.touched = true;
			this.ask();
		}

		// reveal moves the map so that a host is in view, and returns where its cell ends.
		reveal(host) {
			const view = this.#view, width = this.#canvas.clientWidth, height = this.#canvas.clientHeight, margin = 40;
			const x = this.#x[host] * view.scale + view.x, y = this.#y[host] * view.scale + view.y;
			if (x < margin || x > width - margin) view.x += width / 2 - x;
			if (y < margin || y > height - margin) view.y += height / 2 - y;
			this.ask();
			return { x: (this.#x[host] + CELL) * view.scale + view.x, y: (this.#y[host] + CELL) * view.scale + view.y };
		}

		// at returns the rack and host at a point of the canvas; -1 is none.
		at(px, py) {
			const x = (px - this.#view.x) / this.#view.scale, y = (py - this.#view.y) / this.#view.scale;
			const line = this.#lines.find((l) => y >= l.top && y <= l.bottom);
			const box = line?.boxes.find((b) => x >= b.x && x <= b.x + b.width && y <= b.y + b.height);
			if (!box) return { rack: -1, host: -1 };
			const column = Math.floor((x - box.x - PAD) / STEP), row = Math.floor((y - box.y - HEAD) / STEP);
			const inside = column >= 0 && column < box.columns && row >= 0;
			return { rack: box.index, host: (inside ? box.hosts[row * box.columns + column] : undefined) ?? -1 };
		}

		// ask has the map drawn with the next frame, once.
		ask() {
			if (this.#wanted || !this.map) return;
			this.#wanted = true;
			requestAnimationFrame(() => {
				this.#wanted = false;
				const began = performance.now(), frames = this.frames;
				this.#draw();
				frames.last = performance.now() - began;
				frames.worst = Math.max(frames.worst, frames.last);
				frames.count++;
			});
		}

		// #lay gives every rack a box and every host a cell.
		#lay() {
			const { racks, hosts } = this.map;
			const members = racks.map(() => []);
			hosts.rack.forEach((rack, host) => members[rack].push(host));
			const sizes = members.map((all) => all.length).sort((a, b) => a - b);
			const usual = Math.max(4, Math.min(20, columnsFor(sizes[sizes.length >> 1] || 1)));
			this.boxes = racks.map((rack, index) => {
				// One that is much larger than others, such as that of unlocated hosts, is wide.
				const columns = Math.max(usual, columnsFor(members[index].length));
				const rows = Math.max(1, Math.ceil(members[index].length / columns));
				return { index, rack, hosts: members[index], columns, width: columns * STEP - 2 + 2 * PAD, height: HEAD + rows * STEP - 2 + PAD, x: 0, y: 0 };
			});
			this.#flowBest();
			const count = hosts.address.length;
			this.#x = new Float32Array(count);
			this.#y = new Float32Array(count);
			this.rackOf = hosts.rack;
			this.placeOf = new Int32Array(count);
			for (const box of this.boxes) {
				box.hosts.forEach((host, place) => {
					this.#x[host] = box.x + PAD + (place % box.columns) * STEP;
					this.#y[host] = box.y + HEAD + Math.floor(place / box.columns) * STEP;
					this.placeOf[host] = place;
				});
			}
		}

		// #flowBest takes, of several widths of a line, that by which the map is largest.
		#flowBest() {
			const width = Math.max(1, this.#canvas.clientWidth), height = Math.max(1, this.#canvas.clientHeight);
			const area = this.boxes.reduce((sum, b) => sum + (b.width + GAP) * (b.height + GAP), 0);
			const ideal = Math.sqrt((area * width) / height);
			const least = Math.max(...this.boxes.map((b) => b.width));
			let best = 0, bestWidth = least;
			for (let share = 0.7; share <= 1.5; share += 0.02) {
				const most = Math.max(least, ideal * share);
				this.#flow(most);
				const scale = Math.min(width / this.#world.width, height / this.#world.height);
				if (scale > best) {
					best = scale;
					bestWidth = most;
				}
			}
			this.#flow(bestWidth);
		}

		// #flow puts the boxes into lines of a width.
		#flow(most) {
			const world = { width: 1, height: 1 };
			let line = null, left = 0, top = 0;
			this.#lines = [];
			for (const box of this.boxes) {
				if (!line || left + box.width > most) {
					top = line ? line.bottom + GAP : 0;
					line = { top, bottom: top, boxes: [] };
					this.#lines.push(line);
					left = 0;
				}
				box.x = left;
				box.y = top;
				left += box.width + GAP;
				line.bottom = Math.max(line.bottom, top + box.height);
				line.boxes.push(box);
				world.width = Math.max(world.width, box.x + box.width);
				world.height = Math.max(world.height, line.bottom);
			}
			this.#world = world;
		}

		#draw() {
			const canvas = this.#canvas, context = this.#context, view = this.#view, ratio = devicePixelRatio || 1;
			const width = canvas.clientWidth, height = canvas.clientHeight;
			if (canvas.width !== Math.round(width * ratio) || canvas.height !== Math.round(height * ratio)) {
				canvas.width = Math.round(width * ratio);
				canvas.height = Math.round(height * ratio);
			}
			context.setTransform(1, 0, 0, 1, 0, 0);
			context.clearRect(0, 0, canvas.width, canvas.height);
			context.setTransform(ratio * view.scale, 0, 0, ratio * view.scale, ratio * view.x, ratio * view.y);
			const left = -view.x / view.scale, top = -view.y / view.scale;
			const right = left + width / view.scale, bottom = top + height / view.scale;
			const seen = this.boxes.filter((b) => b.x < right && b.x + b.width > left && b.y < bottom && b.y + b.height > top);
			this.#drawBoxes(seen);
			this.#drawFaintLeases();
			this.#drawCells(seen);
			this.#drawStrongLeases();
			this.#drawPicked();
			if (view.scale * 10 >= 6) this.#drawNames(seen);
		}

		// #hair is the width of the thinnest line, about a pixel.
		get #hair() {
			return Math.max(1 / this.#view.scale, 0.6);
		}
		#fill(colour, path) {
			this.#context.fillStyle = this.#colours[colour];
			this.#context.fill(path);
		}
		#stroke(colour, path, width) {
			this.#context.strokeStyle = this.#colours[colour];
			this.#context.lineWidth = width;
			this.#context.stroke(path);
		}

		#drawBoxes(seen) {
			const path = new Path2D(), starving = new Path2D(), waiting = new Path2D(), hair = this.#hair;
			for (const b of seen) {
				path.rect(b.x, b.y, b.width, b.height);
				if (b.rack.starving) starving.rect(b.x, b.y, b.width, b.height);
				else if (b.rack.waiting) waiting.rect(b.x, b.y, b.width, b.height);
			}
			this.#fill("surface", path);
			this.#stroke("line", path, hair);
			this.#stroke("accent-fill", waiting, 2 * hair);
			this.#stroke("bad", starving, Math.max(2, 2 * hair));
		}

		#drawCells(seen) {
			const { progress, flags } = this.map.hosts, x = this.#x, y = this.#y;
			const empty = new Path2D(), part = new Path2D(), whole = new Path2D(), unknown = new Path2D();
			const crossing = new Path2D(), standby = new Path2D(), stranded = new Path2D();
			for (const box of seen) {
				for (const host of box.hosts) {
					const left = x[host], top = y[host], flag = flags[host];
					if (progress[host] >= 1000) {
						whole.rect(left, top, CELL, CELL);
					} else {
						empty.rect(left, top, CELL, CELL);
						const high = (CELL * progress[host]) / 1000;
						if (high > 0) part.rect(left, top + CELL - high, CELL, high);
						if (flag & UNKNOWN) unknown.rect(left + CELL / 2 - 1, top + CELL / 2 - 1, 2, 2);
					}
					const ring = flag & STRANDED ? stranded : flag & CROSSING ? crossing : flag & STANDBY ? standby : null;
					ring?.rect(left + 0.75, top + 0.75, CELL - 1.5, CELL - 1.5);
				}
			}
			this.#fill("empty", empty);
			this.#fill("accent-fill", part);
			this.#fill("good", whole);
			this.#fill("muted", unknown);
			this.#stroke("line-strong", standby, 1);
			this.#stroke("text", crossing, 1.5);
			this.#stroke("bad", stranded, 1.5);
		}

		// Leases lie under the cells, but for those of the rack that is picked.
		#isStrong(rack, [child, parent]) {
			return rack >= 0 && (this.rackOf[child] === rack || this.rackOf[parent] === rack);
		}
		get #pickedRack() {
			return this.selected >= 0 ? this.rackOf[this.selected] : this.hoveredRack;
		}
		#drawFaintLeases() {
			const rack = this.#pickedRack, path = new Path2D();
			for (const lease of this.map.leases) {
				if (!this.#isStrong(rack, lease)) this.#curve(path, lease);
			}
			this.#context.globalAlpha = rack < 0 ? 0.28 : 0.12;
			this.#stroke("lease", path, this.#hair);
			this.#context.globalAlpha = 1;
		}
		#drawStrongLeases() {
			const rack = this.#pickedRack, others = new Path2D(), sources = new Path2D();
			for (const lease of this.map.leases) {
				if (this.#isStrong(rack, lease)) this.#curve(lease[2] ? sources : others, lease);
			}
			this.#stroke("lease", others, 1.2 * this.#hair);
			this.#stroke("lease", sources, 2.4 * this.#hair);
		}
		#curve(path, [child, parent]) {
			const half = CELL / 2, bend = 0.18;
			const x1 = this.#x[parent] + half, y1 = this.#y[parent] + half, x2 = this.#x[child] + half, y2 = this.#y[child] + half;
			path.moveTo(x1, y1);
			path.quadraticCurveTo((x1 + x2) / 2 + (y1 - y2) * bend, (y1 + y2) / 2 + (x2 - x1) * bend, x2, y2);
		}

		#drawPicked() {
			const path = new Path2D();
			if (this.hoveredRack >= 0) {
				const b = this.boxes[this.hoveredRack];
				path.rect(b.x, b.y, b.width, b.height);
			}
			for (const host of [this.hovered, this.selected]) {
				if (host >= 0) path.rect(this.#x[host] - 1.5, this.#y[host] - 1.5, CELL + 3, CELL + 3);
			}
			this.#stroke("accent", path, Math.max(2 * this.#hair, 1.5));
		}

		#drawNames(seen) {
			const context = this.#context;
			context.font = "10px system-ui, sans-serif";
			context.textBaseline = "middle";
			for (const box of seen) {
				context.fillStyle = box.rack.starving ? this.#colours.bad : this.#colours.muted;
				box.name ??= this.#shorten(waggle.rackName(box.rack), box.width - 2 * PAD);
				context.fillText(box.name, box.x + PAD, box.y + HEAD / 2);
			}
		}
		// #shorten leaves out the beginning of a name that has no room.
		#shorten(name, room) {
			let text = name;
			for (let cut = 1; cut < name.length && this.#context.measureText(text).width > room; cut++) text = `…${name.slice(cut)}`;
			return text;
		}
	};

	const columnsFor = (hosts) => Math.ceil(Math.sqrt(hosts * 1.6));
	const sameHosts = (a, b) => a.hosts.address.length === b.hosts.address.length && a.racks.length === b.racks.length &&
		a.hosts.address.every((address, i) => address === b.hosts.address[i] && a.hosts.rack[i] === b.hosts.rack[i]);
})();
