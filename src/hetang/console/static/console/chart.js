// <e-chart spec="id of a json script" lib="address of ECharts">: a line or bar chart drawn as SVG.
// The spec is plain data from the server: {kind, labels, series: [{name, data}], prefix, title}. ECharts is fetched
// only when a chart comes into view; the table beside the chart holds the same figures for everybody else.
let library;
function load(address) {
  library ??= new Promise((done, failed) => {
    const script = document.createElement("script");
    script.src = address;
    script.onload = () => done(window.echarts);
    script.onerror = failed;
    document.head.append(script);
  });
  return library;
}

const probe = document.createElement("span");
probe.hidden = true;
function colour(token) {
  if (!probe.isConnected) document.body.append(probe);
  probe.style.color = `var(--${token})`;
  return getComputedStyle(probe).color;
}

function writer(spec, compact) {
  const form = new Intl.NumberFormat(document.documentElement.lang, compact
    ? { notation: "compact", maximumFractionDigits: 1 }
    : { minimumFractionDigits: spec.digits, maximumFractionDigits: spec.digits });
  const whole = new Intl.NumberFormat(document.documentElement.lang, { maximumFractionDigits: 0 });
  const short = (size) => compact && size >= 100 && size < 10000;  // 1,852 says more than 1.9K and is as short
  return (value) => (value < 0 ? "−" : "") + spec.prefix + (short(Math.abs(value)) ? whole : form).format(Math.abs(value));
}

function axes(spec, ink, line) {
  const label = { color: ink, fontSize: 11 };
  const category = { type: "category", data: spec.labels, axisLine: { lineStyle: { color: line } }, axisTick: { show: false }, axisLabel: label };
  const value = { type: "value", splitLine: { lineStyle: { color: line } }, axisLabel: { ...label, formatter: writer(spec, true), hideOverlap: true }, splitNumber: 4 };
  return spec.kind === "bar"
    ? { yAxis: { ...category, inverse: true, axisLabel: { ...label, fontSize: 12 } }, xAxis: value }
    : { xAxis: { ...category, boundaryGap: false }, yAxis: value };
}

function drawn(series, place, spec) {
  if (spec.kind === "bar") {
    const data = series.data.map((value) => ({
      value, itemStyle: { color: colour(value < 0 ? "bad" : "good"), opacity: 0.75, borderRadius: value < 0 ? [3, 0, 0, 3] : [0, 3, 3, 0] },
    }));
    const signed = (value) => (value > 0 ? "+" : "") + writer(spec, true)(value);
    return { type: "bar", name: series.name, data, barMaxWidth: 18, label: { show: true, position: "right", color: colour("ink-2"), fontSize: 11, formatter: (item) => signed(item.value) } };
  }
  const own = colour(place ? "ink-3" : "accent");
  return {
    type: "line", name: series.name, data: series.data, showSymbol: series.data.length < 3, symbolSize: 6,
    lineStyle: { width: place ? 1.25 : 2, type: place ? "dashed" : "solid", color: own }, itemStyle: { color: own },
    areaStyle: place ? undefined : { color: own, opacity: 0.07 },
  };
}

function option(spec) {
  const ink = colour("ink-3");
  const legend = spec.series.length > 1 ? { show: true, bottom: 0, textStyle: { color: ink }, icon: "roundRect", itemHeight: 4 } : { show: false };
  return {
    aria: { enabled: true, label: { description: spec.title } },
    animation: !matchMedia("(prefers-reduced-motion: reduce)").matches,
    grid: { left: 8, right: spec.kind === "bar" ? 64 : 16, top: 16, bottom: spec.series.length > 1 ? 36 : 8, containLabel: true },
    legend,
    // The HTML tooltip writes inline styles, which the policy forbids.
    tooltip: { trigger: "axis", renderMode: "richText", valueFormatter: writer(spec, false), backgroundColor: colour("raised"), borderColor: colour("line-strong"), textStyle: { color: colour("ink"), fontSize: 12 } },
    ...axes(spec, ink, colour("line-soft")),
    series: spec.series.map((series, place) => drawn(series, place, spec)),
  };
}

class Chart extends HTMLElement {
  connectedCallback() {
    this.seen = new IntersectionObserver((entries) => entries.some((entry) => entry.isIntersecting) && this.draw(), { rootMargin: "400px" });
    this.seen.observe(this);
    this.dark = matchMedia("(prefers-color-scheme: dark)");
    this.repaint = () => this.chart?.setOption(option(this.spec), true);
    this.dark.addEventListener("change", this.repaint);
  }

  async draw() {
    this.seen.disconnect();
    if (this.chart) return;
    this.spec = JSON.parse(document.getElementById(this.getAttribute("spec")).textContent);
    const echarts = await load(this.getAttribute("lib"));
    this.chart = echarts.init(this, null, { renderer: "svg" });
    this.chart.setOption(option(this.spec));
    this.size = new ResizeObserver(() => this.chart.resize());
    this.size.observe(this);
  }

  disconnectedCallback() {
    this.seen?.disconnect();
    this.size?.disconnect();
    this.dark?.removeEventListener("change", this.repaint);
    this.chart?.dispose();
    this.chart = undefined;
  }
}
customElements.define("e-chart", Chart);
