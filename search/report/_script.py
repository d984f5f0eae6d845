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
      await new Promise(next => setTimeout(next));
    }
    document.documentElement.dataset.drawn = 'all';
    window.addEventListener('beforeprint', () => document.querySelectorAll('.plot').forEach(plot => Plotly.Plots.resize(plot)));
  } catch (error) { say('The figures could not be drawn: ' + error.message); }
})();
"""
