// Draws the charts of the overview over those that the server rendered, and keeps them as
// they are now: a new step is fetched when the page hears that something has changed.
"use strict";
(() => {
	const holder = document.querySelector(".charts");
	if (!holder || !globalThis.uPlot) return;
	const span = holder.dataset.span;
	const all = [];

	const binary = (n) => {
		const units = ["B", "KiB", "MiB", "GiB", "TiB", "PiB"];
		let unit = 0;
		while (n >= 1024 && unit < units.length - 1) {
			n /= 1024;
			unit++;
		}
		return `${unit && n < 10 ? n.toFixed(1) : Math.round(n)} ${units[unit]}`;
	};
	const grouped = new Intl.NumberFormat("en-GB", { maximumFractionDigits: 0 });
	const decimal = new Intl.NumberFormat("en-GB", { maximumFractionDigits: 1, minimumFractionDigits: 1 });
	const fine = new Intl.NumberFormat("en-GB", { maximumFractionDigits: 2 });
	const compact = new Intl.NumberFormat("en-GB", { notation: "compact", maximumFractionDigits: 2 });
	const plain = (n) => (Math.abs(n) < 1e5 ? fine : compact).format(n);
	const text = (n, unit) => {
		if (n == null) return "–";
		if (unit === "B") return binary(n);
		if (unit !== "1/s") return grouped.format(n);
		return n > 0 && n < 0.1 ? "< 0.1 /s" : `${n === 0 || n >= 99.95 ? grouped.format(n) : decimal.format(n)} /s`;
	};
	const powers = Array.from({ length: 50 }, (_, i) => 2 ** i); // of which axes of bytes have their marks
	const clock = (seconds) => new Date(seconds * 1000).toISOString().slice(11, 19);

	for (const figure of holder.querySelectorAll(".chart")) {
		all.push({
			figure,
			plot: figure.querySelector(".plot"),
			names: figure.dataset.series.split(","),
			labels: figure.dataset.labels.split(","),
			unit: figure.dataset.unit,
			uplot: null,
		});
	}

	const options = (chart, width) => {
		const ink = waggle.colour("--muted"), rule = waggle.colour("--line");
		const font = "11px system-ui, sans-serif";
		const axis = { stroke: ink, font, grid: { stroke: rule, width: 1 }, ticks: { stroke: rule, width: 1, size: 4 } };
		return {
			width,
			height: 190,
			tzDate: (seconds) => uPlot.tzDate(new Date(seconds * 1e3), "Etc/UTC"),
			legend: { show: false },
			cursor: { y: false, drag: { x: false, y: false }, points: { size: 6 } },
			scales: { y: { range: (_, low, high) => [Math.min(0, low ?? 0), high > 0 ? high * 1.08 : 1] } },
			axes: [
				{ ...axis, size: 28, values: [[3600, "{HH}:{mm}", null, null, null, null, null, null, 1], [60, "{HH}:{mm}", null, null, null, null, null, null, 1], [1, "{HH}:{mm}:{ss}", null, null, null, null, null, null, 1]] },
				{ ...axis, size: 62, ...(chart.unit === "B" ? { incrs: powers } : {}), values: (_, splits) => splits.map((v) => (chart.unit === "B" ? binary(v) : plain(v))) },
			],
			series: [
				{},
				...chart.labels.map((label, i) => ({ label, stroke: waggle.colour(`--series-${i + 1}`), width: 1.5, points: { show: false } })),
			],
			hooks: { setCursor: [(u) => read(chart, u)] },
		};
	};
	// read shows the values under the pointer.
	const read = (chart, u) => {
		if (!chart.readout) return; // it is still being made
		const at = u.cursor.idx;
		chart.readout.hidden = at == null;
		if (at == null) return;
		const values = chart.labels.map((label, i) => `${label} ${text(u.data[i + 1][at], chart.unit)}`);
		chart.readout.textContent = `${clock(u.data[0][at])} UTC · ${values.join(" · ")}`;
	};
	const draw = (chart, data) => {
		chart.data = data;
		if (chart.uplot) {
			chart.uplot.setData(data);
			return;
		}
		chart.plot.textContent = "";
		chart.plot.setAttribute("role", "img");
		chart.plot.setAttribute("aria-label", `${chart.figure.querySelector("h3").textContent}: the numbers are below`);
		chart.uplot = new uPlot(options(chart, chart.plot.clientWidth), data, chart.plot);
		chart.readout = document.createElement("p");
		chart.readout.className = "readout";
		chart.readout.hidden = true;
		chart.plot.append(chart.readout);
	};
	const again = () => {
		for (const chart of all) {
			chart.uplot?.destroy();
			chart.uplot = chart.readout = null;
			if (chart.data) draw(chart, chart.data);
		}
	};

	let fetched = -Infinity, step = 10, fetching = false;
	const names = [...new Set(all.flatMap((chart) => chart.names))].join(",");
	const load = async () => {
		if (fetching || performance.now() - fetched < step * 1000) return;
		fetching = true;
		try {
			const answer = await fetch(`/api/v1/timeline?span=${span}&series=${names}`, { headers: { Accept: "application/json" } });
			if (!answer.ok) return; // the server's own charts stay
			const timeline = await answer.json();
			fetched = performance.now();
			step = timeline.step_seconds;
			show(timeline);
		} catch {
			// The network is gone; the page says so, and the next change tries again.
		} finally {
			fetching = false;
		}
	};
	const show = (timeline) => {
		const from = Date.parse(timeline.from) / 1000;
		const series = new Map(timeline.series.map((s) => [s.name, s.values]));
		const count = timeline.series[0]?.values.length ?? 0;
		const times = Array.from({ length: count }, (_, i) => from + i * timeline.step_seconds);
		for (const chart of all) {
			draw(chart, [times, ...chart.names.map((name) => series.get(name) ?? [])]);
			for (const name of chart.names) {
				const now = chart.figure.querySelector(`[data-now="${name}"]`);
				const last = (series.get(name) ?? []).findLast((v) => v != null);
				if (now) now.textContent = text(last, chart.unit);
			}
		}
	};

	new ResizeObserver(() => {
		for (const chart of all) chart.uplot?.setSize({ width: chart.plot.clientWidth, height: 190 });
	}).observe(holder);
	addEventListener("waggle:theme", again);
	addEventListener("waggle:live", load);
	load();
})();
