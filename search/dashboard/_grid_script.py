"""What the dashboard runs in the browser: the table of trials, loaded when it is needed; figures, when scrolled to."""

from __future__ import annotations

import json

from search.report import theme

LETTERS = {state: state[0] for state in theme.UNITS}
"""What stands for a unit's state where thousands of structures are sent."""

THEME = (
    "themeQuartz.withParams({backgroundColor: 'var(--back)', foregroundColor: 'var(--ink)', "
    "headerTextColor: 'var(--soft)', headerBackgroundColor: 'var(--card)', borderColor: 'var(--line)', "
    "accentColor: 'var(--accent)', oddRowBackgroundColor: 'var(--back)', rowHoverColor: 'var(--card)', "
    "selectedRowBackgroundColor: 'var(--card)', chromeBackgroundColor: 'var(--card)', "
    "menuBackgroundColor: 'var(--back)', inputBackgroundColor: 'var(--card)', fontFamily: 'inherit', fontSize: 14, "
    "spacing: 6, browserColorScheme: 'inherit'})"
)
"""The page's own colours, which follow its light and dark."""

SCRIPT = """
'use strict';
(() => {
  const element = (...parts) => window.React.createElement(...parts);
  const words = WORDS;
  let chosen = new Set();
  const tickChosen = api => api.forEachNode(node => {
    if (chosen.has(node.id) && !node.isSelected()) node.setSelected(true);
  });
  const go = href => {
    history.pushState({}, '', href);
    window.dispatchEvent(new CustomEvent('_dashprivate_pushstate'));
    window.scrollTo(0, 0);
  };
  const href = params => params.context.study + '/trial/' + params.data.trial;
  window.dashAgGridComponentFunctions = {
    // Until its rows have come, a place in the table has no data.
    Trial: params => params.value != null && element('a', {href: href(params), tabIndex: -1, onClick: event => {
      if (!event.ctrlKey && !event.metaKey && !event.shiftKey) { event.preventDefault(); go(href(params)); }
    }}, String(params.value)),
    State: params => params.value && element('span', {className: 'chips'},
      element('span', {className: 'chip ' + params.value}, params.value),
      ...params.data.marks.map(mark => element('span', {className: 'chip mark-' + mark.split(' ')[0], key: mark}, mark))),
    Strip: params => {
      if (!params.value) return null;
      const counts = {}, edited = params.value.replace(/[^A-Z]/g, '').length;
      for (const letter of params.value.toLowerCase()) counts[words[letter]] = (counts[words[letter]] || 0) + 1;
      const label = Object.entries(counts).map(([word, count]) => count + ' ' + word).join(', ') + (edited ? `, ${edited} of them edited` : '');
      return element('div', {className: 'strip small', role: 'img', 'aria-label': label, title: label},
        ...[...params.value].map((letter, place) => element('i', {key: place,
          className: words[letter.toLowerCase()] + (letter < 'a' ? ' changed' : '')})));
    },
  };
  window.dashAgGridFunctions = {
    shownText: params => params.data?.text[params.colDef.field] ?? params.value ?? '',
    openTrial: params => { if (params.event.key === 'Enter' && params.column.getColId() === 'trial') go(href(params)); },
    isTrial: node => node.data?.trial != null,
    rowsCame: params => tickChosen(params.api),
    // The component's own `selectedRows` forgets a tick that is set while it puts in rows that have just come.
    rowsTicked: params => {
      if (!params.source.startsWith('api'))
        window.dash_clientside.set_props('ticked', {data: params.api.getSelectedRows().map(row => row.trial)});
    },
  };
  // On paper a plain table stands for the grid, which is as wide as its columns: the paper cuts off what is wider.
  let paper = null;
  window.addEventListener('beforeprint', () => {
    const api = document.getElementById('trials') && window.dash_ag_grid.getApi?.('trials');
    if (paper || !api) return;
    const columns = api.getAllDisplayedColumns().filter(column => !column.getColId().startsWith('ag-'));
    const drawn = window.dashAgGridComponentFunctions, rows = [];
    api.forEachNode(({data}) => data && rows.push(element('tr', {key: data.id}, ...columns.map(column => {
      const colDef = column.getColDef(), of = {data, colDef, value: data[colDef.field], context: api.getGridOption('context')};
      return element('td', {key: colDef.field, className: colDef.field === 'words' ? 'words' : colDef.type},
        drawn[colDef.cellRenderer]?.(of) ?? window.dashAgGridFunctions.shownText(of));
    }))));
    const head = columns.map(column => element('th', {key: column.getColId(), className: column.getColDef().type}, column.getColDef().headerName));
    const missing = api.getDisplayedRowCount() - rows.length;
    paper = document.createElement('div');
    paper.className = 'paper';
    document.querySelector('.trials').after(paper);
    paper.root = window.ReactDOM.createRoot(paper);
    window.ReactDOM.flushSync(() => paper.root.render([
      element('table', {key: 0}, element('thead', null, element('tr', null, ...head)), element('tbody', null, ...rows)),
      missing > 0 && element('p', {key: 1, className: 'soft'}, missing + ' further trials are not printed: scroll to them before, or download the CSV.'),
    ]));
  });
  window.addEventListener('afterprint', () => {
    paper?.root.unmount();
    paper?.remove();
    paper = null;
  });
  let real = null, loading = null;
  const load = () => loading = loading || new Promise((done, failed) => {
    const script = document.createElement('script');
    script.src = document.querySelector('meta[name=grid]').content;
    script.onload = () => {
      real = window.dash_ag_grid;
      window.dash_ag_grid = {AgGrid: Grid, getApi: real.getApi, getApiAsync: real.getApiAsync};
      done(real);
    };
    script.onerror = failed;
    document.head.append(script);
  });
  const Grid = props => {
    const [, show] = window.React.useState(real);
    window.React.useEffect(() => { if (!real) load().then(show); }, []);
    return real && element(real.AgGrid, props);
  };
  Object.defineProperty(Grid, '_dashprivate_isLazyComponentReady', {
    get: () => real ? real.AgGrid._dashprivate_isLazyComponentReady : load(),
  });
  window.dash_ag_grid = {AgGrid: Grid};
  const see = figure => {
    seeing.unobserve(figure);
    figure.dataset.seen = '';
    window.dash_clientside.set_props({type: 'seen', name: figure.dataset.figure}, {data: true});
  };
  const seeing = new IntersectionObserver(
    entries => entries.filter(entry => entry.isIntersecting).forEach(entry => see(entry.target)), {rootMargin: '50px'});
  new MutationObserver(() => {
    document.querySelectorAll('.one[data-figure]:not([data-watched])').forEach(figure => {
      figure.dataset.watched = '';
      seeing.observe(figure);
    });
    // Dash lets an input that readers of the screen cannot see take the focus for the button beside it.
    document.querySelectorAll(".dash-dropdown-focus-target[tabindex='0']").forEach(input => {
      input.tabIndex = -1;
      input.nextElementSibling.tabIndex = 0;
    });
  }).observe(document.documentElement, {childList: true, subtree: true});
  window.ftsearch = {
    grid: act => load().then(() => window.dash_ag_grid.getApiAsync('trials')).then(act).catch(() => {}),
    tick: numbers => {
      const before = chosen;
      chosen = new Set(numbers.map(String));
      if (document.getElementById('trials')) window.ftsearch.grid(api => {
        // A tick that was never among those chosen is one that has just been set: its choice is on its way.
        const gone = node => before.has(node.id) && !chosen.has(node.id);
        api.getSelectedNodes().filter(gone).forEach(node => node.setSelected(false));
        tickChosen(api);
      });
    },
  };
})();
""".replace("WORDS", json.dumps({letter: state for state, letter in LETTERS.items()}))
