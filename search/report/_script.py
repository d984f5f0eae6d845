"""The report's own script: unpacks plotly.js and the figures, draws one after the other, serves the view menus."""

SCRIPT = """
'use strict';
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
    window.addEventListener('beforeprint', () => document.querySelectorAll('.plot').forEach(plot => Plotly.Plots.resize(plot)));
  } catch (error) { say('The figures could not be drawn: ' + error.message); }
})();
"""

THEME = """
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
