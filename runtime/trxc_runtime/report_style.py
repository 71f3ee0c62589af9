"""The style sheet of ``report.html``: light and dark, by the reader's own setting."""

STYLE = """
:root { color-scheme: light dark; --bg: #fbfbfa; --panel: #ffffff; --text: #1d2330; --soft: #667085; --rule: #e4e7ec;
  --train: #3b6fd4; --valid: #d9662b; --good: #1f8a5b; --bad: #c2363a; --bar: #dbe6fb; }
@media (prefers-color-scheme: dark) { :root { --bg: #14171c; --panel: #1b1f26; --text: #e6e9ee; --soft: #98a2b3;
  --rule: #2c323c; --train: #7ba6f5; --valid: #f0935c; --good: #5fc796; --bad: #f07c7f; --bar: #26385a; } }
* { box-sizing: border-box; }
body { margin: 0; background: var(--bg); color: var(--text); font: 15px/1.5 system-ui, sans-serif; }
main { max-width: 940px; margin: 0 auto; padding: 32px 20px 64px; }
h1 { font-size: 26px; margin: 0; } h1 small { font-weight: 400; color: var(--soft); font-size: 16px; }
h2 { font-size: 16px; margin: 36px 0 10px; }
.status { display: inline-block; padding: 1px 10px; border-radius: 99px; border: 1px solid currentColor; font-size:
  13px;
  vertical-align: 4px; margin-left: 8px; color: var(--soft); }
.status.finished { color: var(--good); } .status.failed { color: var(--bad); }
.failure { color: var(--bad); }
.tiles { display: grid; grid-template-columns: repeat(auto-fit, minmax(150px, 1fr)); gap: 12px; margin: 20px 0; }
.tile { background: var(--panel); border: 1px solid var(--rule); border-radius: 10px; padding: 10px 14px; }
.tile b { display: block; font-size: 21px; font-variant-numeric: tabular-nums; font-weight: 600; }
.tile span { color: var(--soft); font-size: 13px; }
figure, .panel { margin: 0 0 12px; background: var(--panel); border: 1px solid var(--rule); border-radius: 10px;
  padding: 14px 16px; }
figcaption { font-weight: 600; display: flex; justify-content: space-between; margin-bottom: 6px; }
svg { width: 100%; height: auto; display: block; }
polyline { fill: none; stroke-width: 2; stroke-linejoin: round; }
polyline.train { stroke: var(--train); } polyline.faint { stroke: var(--train); opacity: .28; stroke-width: 1; }
polyline.valid { stroke: var(--valid); } circle.valid { fill: var(--valid); }
.grid { stroke: var(--rule); } .axis { stroke: var(--soft); } .tick { fill: var(--soft); font-size: 12px; }
.legend { font-weight: 400; color: var(--soft); font-size: 13px; }
.key i { display: inline-block; width: 14px; height: 3px; margin: 0 6px 3px 14px; background: var(--train); }
.key.valid i { background: var(--valid); } .key.faint i { opacity: .35; }
.scroll { overflow-x: auto; }
table { border-collapse: collapse; width: 100%; font-size: 14px; }
th { text-align: left; color: var(--soft); font-weight: 500; } th, td { padding: 4px 12px 4px 0; border-bottom: 1px
  solid var(--rule); }
td.n, th.n { text-align: right; font-variant-numeric: tabular-nums; } tr.best td { color: var(--good); font-weight:
  600; }
td.share { background: linear-gradient(var(--bar), var(--bar)) left / var(--part) 100% no-repeat; }
pre { margin: 0; white-space: pre-wrap; overflow-wrap: anywhere; font: 13px/1.5 ui-monospace, monospace; }
pre mark { background: none; color: var(--soft); } code { font: 13px ui-monospace, monospace; }
summary { cursor: pointer; font-weight: 600; } details { margin: 12px 0; }
footer { margin-top: 40px; color: var(--soft); font-size: 13px; }
"""
