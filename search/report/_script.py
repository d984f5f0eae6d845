"""The scripts of pages."""

SCRIPT = """
'use strict';
document.querySelectorAll('.toc').forEach(contents => contents.addEventListener('click', event => {
  if (event.target.closest('a')) contents.open = false;
}));
(async () => {
  const say = text => document.querySelectorAll('.plot:empty').forEach(plot => { plot.textContent = text; });
  if (typeof DecompressionStream === 'undefined') { say('This browser is too old to draw the figures.'); return; }
  const unpack = async id => {
    const bytes = Uint8Array.from(atob(document.getElementById(id).textContent), letter => letter.charCodeAt(0));
    return new Response(new Blob([bytes]).stream().pipeThrough(new DecompressionStream('gzip'))).text();
  };
  try {
    const [library, data] = await Promise.all([unpack('plotly'), unpack('figures')]);
    const script = document.createElement('script');
    script.textContent = library;
    document.head.append(script);
    const figures = JSON.parse(data);
    for (const plot of document.querySelectorAll('.plot[data-figure]')) {
      const figure = figures[plot.dataset.figure];
      const name = plot.dataset.figure.replace('/', '-');
      await Plotly.newPlot(plot, figure.data, figure.layout,
        {responsive: true, displaylogo: false, toImageButtonOptions: {filename: name, scale: 2}});
      const choice = plot.closest('figure').querySelector('select');
      if (choice) choice.addEventListener('change', () => {
        const [traces, layout] = figure.views[choice.value];
        Plotly.update(plot, traces, layout);
      });
      const table = document.getElementById(plot.dataset.figure.split('/')[0] + '-ranking');
      if (table && figure.layout.meta === 'brushed') {
        const rows = table.querySelectorAll('tr[data-trial]');
        plot.on('plotly_selected', event => {
          const axes = new Map();
          for (const point of event ? event.points : []) axes.set(point.x, (axes.get(point.x) || new Set()).add(String(point.customdata)));
          const inside = row => [...axes.values()].every(trials => trials.has(row.dataset.trial));
          rows.forEach(row => { row.hidden = !inside(row); });
        });
        plot.on('plotly_deselect', () => rows.forEach(row => { row.hidden = false; }));
      }
      await new Promise(next => setTimeout(next));
    }
    document.documentElement.dataset.drawn = 'all';
  } catch (error) { say('The figures could not be drawn: ' + error.message); }
})();
"""
"""The report's own: unpacks plotly.js and the figures, draws one after the other, serves the view menus."""

_THEME = """
'use strict';
(() => {
  const root = document.documentElement, names = ['system', 'light', 'dark'];
  const kept = { get: () => { try { return localStorage.getItem('ftsearch-theme'); } catch { return null; } },
    set: name => { try { localStorage.setItem('ftsearch-theme', name); } catch { /* not allowed here: until the page is left */ } } };
  const show = name => { if (name === 'light' || name === 'dark') root.dataset.theme = name; else delete root.dataset.theme; };
  show(kept.get());
  document.addEventListener('click', event => {
    if (!event.target.closest('.theme')) return;
    const name = names[(names.indexOf(root.dataset.theme || 'system') + 1) % names.length];
    show(name);
    kept.set(name);
  });
})();
"""
"""The switch between light, dark and what the system has: runs in the head, so that no page is first shown in the other."""

_TOOLS = """
(() => {
  const buttons = bar => [...bar.querySelectorAll('.modebar-btn')];
  const tame = bar => {
    bar.setAttribute('role', 'toolbar');
    bar.setAttribute('aria-label', 'Tools of this figure');
    buttons(bar).forEach((button, place) => { button.tabIndex = place ? -1 : 0; });
  };
  new MutationObserver(changes => {
    for (const change of changes) for (const node of change.addedNodes) {
      if (!(node instanceof HTMLElement)) continue;
      const own = node.closest('.modebar');
      (own ? [own] : node.querySelectorAll('.modebar')).forEach(tame);
    }
  }).observe(document.documentElement, {childList: true, subtree: true});
  document.addEventListener('keydown', event => {
    const step = {ArrowLeft: -1, ArrowRight: 1}[event.key], bar = step && event.target.closest('.modebar');
    if (!bar) return;
    const all = buttons(bar), place = all.indexOf(event.target);
    const next = all[(place + step + all.length) % all.length];
    all.forEach(button => { button.tabIndex = button === next ? 0 : -1; });
    next.focus();
    event.preventDefault();
  });
})();
"""
"""The tool bar of a figure is one stop of the Tab key, and arrow keys go through it."""

PAPER = 680
"""Pixels of a page's width on A4 and Letter paper, between the margins that browsers leave."""
_PAPER = """
(() => {
  const layouts = new Map();
  window.addEventListener('beforeprint', () => document.querySelectorAll('.js-plotly-plot').forEach(plot => {
    if (!plot._fullLayout || layouts.has(plot)) return;
    const least = parseInt(getComputedStyle(plot).minWidth) || 0, width = Math.max(least, PAPER);
    layouts.set(plot, plot.layout.width);
    Plotly.relayout(plot, {width: width});
    plot.style.zoom = PAPER / width;
  }));
  window.addEventListener('afterprint', () => {
    for (const [plot, width] of layouts) {
      plot.style.zoom = '';
      Plotly.relayout(plot, {width: width ?? null, autosize: width === undefined});
    }
    layouts.clear();
  });
})();
""".replace("PAPER", str(PAPER))
"""Figures are as wide as the paper while they are printed: browsers would cut off the rest."""

COMMON = _THEME + _TOOLS + _PAPER
"""The script of every page, in its head."""
