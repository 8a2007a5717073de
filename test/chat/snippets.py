# Makes snippets.json: templates that use each construct, and how transformers' environment renders them (null where it refuses them).
# Usage: python test/chat/snippets.py > test/chat/snippets.json
import json
from transformers.utils.chat_template_utils import _compile_jinja_template

VARIABLES = r'''{"s": "  a b\n", "t": "x,y,,z", "u": "😀é", "i": 7, "f": 1.0, "g": 0.1, "n": null, "b": true, "big": 12345678901234567890, "l": [3, 1, 2, 1.0, null],
"w": ["b", "A", "c"], "d": {"b": 1.0, "a": [true, "it's"], "items": "own"}, "m": [{"k": "x", "v": 2, "o": {"z": 1}}, {"k": "y", "v": 1, "o": {"z": 2}}, {"k": "x", "v": 3}]}'''
SNIPPETS = r"""
{{ s.strip() }}|{{ s.lstrip('\n') }}|{{ s.rstrip('\n ') }}|{{ 'xax'.strip('x') }}|{{ s | trim }}|{{ 'xax' | trim('x') }}
{{ f }} {{ g }} {{ 1e3 }} {{ 1e16 }} {{ 1e-5 }} {{ 0.0001 }} {{ 123456789.125 }} {{ 1e22 }} {{ -0.0 }} {{ big }} {{ big + 1 }} {{ 1_000 }} {{ 0x1f }}
{{ none }} {{ n }} {{ b }} {{ [1, 'a', none, 1.0, "it's", 'q"', "'\"", '\n\\\u200b'] }} {{ {'a': none, 1: (1,), 'e': ()} }} {{ (1, 2) }} {{ u }} {{ [u] }}
{{ none | string }}{{ true | string }}{{ 'a' ~ none ~ 1.0 ~ [] }}
{{ d }} {{ d.a }} {{ d['b'] }} {{ d.items() | list }} {{ d['items'] }} {{ d.keys() | list }} {{ d.values() | list }} {{ d.get('q') }} {{ d.get('q', 5) }} {{ d.missing }} {{ d['missing'] is defined }}
{{ m.no.deeper }}
{{ nothing }}{{ nothing is defined }}{{ nothing | default('x') }}{{ '' | default('y', true) }}{{ nothing | length }}{{ nothing | list }}{{ nothing == nothing2 }}
{{ nothing.x }}
{{ nothing + 'a' }}
{{ '1' == 1 }} {{ 1 == 1.0 }} {{ 1 == true }} {{ [1] == [1.0] }} {{ (1,) == [1] }} {{ {'a': 1} == {'a': 1.0} }} {{ none == false }}
{{ '1' + 1 }}
{{ [1] + [2] }} {{ 'a' * 3 }} {{ [0] * 2 }} {{ 7 // 2 }} {{ -7 // 2 }} {{ 7 / 2 }} {{ 4 / 2 }} {{ -7 % 3 }} {{ 5 % -3 }} {{ 2 ** 10 }} {{ 2 ** -1 }} {{ 7.5 // 2 }} {{ -7.5 % 2 }} {{ 2 ** 3 ** 2 }} {{ -2 ** 2 }}
{{ '%s is %d and %.2f %r' % ('a', 3, 1.005, 'q') }} {{ '%5s|%-5s|%05d' | format('a', 'b', 42) }} {{ '{} {} {name!r}'.format('a', 'b', name='c') }} {{ '{1}{0}{{}}'.format(1, 2) }}
{{ '{} {1}'.format('a', 'b') }}
{{ 1 < 2 < 3 }} {{ 1 < 2 > 5 }} {{ 'a' < 'B' }} {{ [1, 2] < [1, 3] }} {{ not 1 == 2 }} {{ 'a' in 'cab' }} {{ 2 in [1, 2.0] }} {{ 'k' not in {'k': 1} }}
{{ 1 < 'a' }}
{{ 1 in 'a1' }}
{{ u | length }} {{ u[0] }} {{ u[-1] }} {{ u[::-1] }} {{ 'abcdef'[1:4] }} {{ 'abcdef'[::2] }} {{ 'abcdef'[-2:] }} {{ 'abcdef'[4:1:-1] }} {{ [1,2,3][:-1] }} {{ 'abc'[9] is defined }} {{ 'abc'['x'] is defined }}
{% for c in 'ab😀' %}[{{ c }}{{ loop.index }}{{ loop.last }}]{% endfor %}
{% for k, v in d.items() %}{{ k }}={{ v }};{% endfor %}{% for k in d %}{{ k }}{% endfor %}
{% for x in [1,2,3,4,5] if x is odd %}{{ loop.index }}/{{ loop.length }}:{{ x }}{{ loop.previtem }}{{ loop.nextitem }} {% else %}none{% endfor %}{% for x in [] %}{% else %}empty{% endfor %}
{% for x in range(5) %}{% if x == 1 %}{% continue %}{% endif %}{% if x == 4 %}{% break %}{% endif %}{{ x }}{{ loop.cycle('a', 'b') }}{{ loop.revindex }}{% endfor %}
{% set x = 1 %}{% for y in [1, 2] %}{{ x }}{% set x = y + 5 %}{{ x }}{% endfor %}{{ x }}{% if true %}{% set x = 9 %}{% endif %}{{ x }}
{% set ns = namespace(a=1, found=false) %}{% for y in [1, 2] %}{% set ns.a = ns.a + y %}{% endfor %}{{ ns.a }}{{ ns.found }}{{ ns.missing }}
{% set a, b = 1, 2 %}{{ a }}{{ b }}{% set c %}  x{{ a }} {% endset %}[{{ c }}]{% set e | upper | trim %} q {% endset %}[{{ e }}]
{% macro f(a, b=2, c='x') %}{{ a }}{{ b }}{{ c }}{{ varargs }}{{ kwargs }}{% endmacro %}{{ f(1) }}|{{ f(1, c=none) }}|{{ f(1, 2, 3, 4, z=5) }}|{{ f() }}
{% macro f(a) %}{{ a }}{% endmacro %}{{ f(1, 2) }}
{% macro w(t) %}<{{ t }}>{{ caller(5) }}</{{ t }}>{% endmacro %}{% call(v) w('p') %}in{{ v }}{% endcall %}
{% macro r(n) %}{{ n }}{% if n > 0 %}{{ r(n - 1) }}{% endif %}{% endmacro %}{{ r(3) }}{% for x in [[1, [2]], 3] recursive %}{% if x is iterable %}({{ loop(x) }}){% else %}{{ x }}{{ loop.depth }}{% endif %}{% endfor %}
{{ d | tojson }} {{ l | tojson }} {{ u | tojson }} {{ '<a>&\'"\n\u0007\u007f/' | tojson }} {{ big | tojson }} {{ {1: 2, none: true, 1.5: 0} | tojson }}
{{ d | tojson(indent=2) }} {{ [] | tojson(indent=2) }} {{ [[], {}] | tojson(indent=1) }} {{ u | tojson(ensure_ascii=true) }} {{ d | tojson(separators=(',', ':'), sort_keys=true) }}
{{ nothing | tojson }}
{{ w | sort }} {{ w | sort(reverse=true) }} {{ w | sort(case_sensitive=true) }} {{ m | sort(attribute='v') | map(attribute='k') | list }} {{ w | join('-') }} {{ m | join(',', attribute='k') }} {{ [1, none, 1.0] | join(' ') }}
{{ m | map(attribute='o.z', default='-') | list }} {{ w | map('upper') | list }} {{ w | map('replace', 'b', 'q') | join }} {{ m | selectattr('k', 'equalto', 'x') | map(attribute='v') | list }} {{ m | rejectattr('k', 'in', ['x']) | list }} {{ 'abc' | selectattr('x') | list }}
{{ [1,2,3] | select('odd') | list }} {{ [0, 1, '', 'a'] | select | list }} {{ [1, 2] | reject('equalto', 1) | list }} {{ w | first }}{{ w | last }}{{ 'xyz' | first }}{{ [] | first }} {{ 'abc' | list }} {{ 'abc' | reverse }} {{ [1,2] | reverse | list }}
{{ [1,2,3] | sum }} {{ m | sum(attribute='v') }} {{ [1.5, 2] | sum }} {{ w | max }}{{ w | min }} {{ m | max(attribute='v') }} {{ ['a', 'A', 'b'] | unique | list }} {{ range(7) | batch(3, 'x') | list }} {{ range(7) | slice(3) | list }}
{% for k, g in m | groupby('k') %}{{ k }}:{{ g | length }};{% endfor %}{{ d | dictsort }} {{ {'b': 1, 'A': 2} | dictsort(false, 'value', true) }} {{ {'x': 1} | items | list }}
{{ 2.5 | round }} {{ 3.5 | round }} {{ 0.125 | round(2) }} {{ 2.675 | round(2) }} {{ 7 | round }} {{ 1.2 | round(0, 'ceil') }} {{ '3.9' | int }} {{ 'x' | int }} {{ 'x' | int(5) }} {{ 'ff' | int(0, 16) }} {{ '1.5' | float }} {{ 3 | float }} {{ -3 | abs }} {{ 3.9 | int }}
{{ 'hello wORLD foo-bar' | title }} {{ 'hELLO' | capitalize }} {{ 'a\nb\n\nc' | indent(2) }}|{{ 'a\nb' | indent('>', true) }}| {{ 'ab' | center(7) }}| {{ 'a b c' | wordcount }} {{ 'a<b' | escape }} {{ ('<' | escape) + '>' }} {{ 'a' + ('<b>' | safe) }} {{ '<' + ('b' | safe) }} {{ 'one two three four' | truncate(9, leeway=0) }}
{{ 'a,b,c'.split(',') }} {{ ' a  b '.split() }} {{ 'a b c'.split(' ', 1) }} {{ 'a,b,c'.rsplit(',', 1) }} {{ t.split(',') }} {{ 'a\nb\r\nc'.splitlines() }} {{ 'abc'.find('c') }} {{ 'abcabc'.rfind('b') }} {{ 'aXbX'.replace('X', 'y', 1) }} {{ 'abab'.count('ab') }} {{ 'k=v=w'.partition('=') }} {{ 'k=v=w'.rpartition('=') }}
{{ 'abc'.startswith('ab') }} {{ 'abc'.startswith(('x', 'a')) }} {{ 'abc'.endswith('bc') }} {{ 'abc'.startswith('b', 1) }} {{ 'Abc'.upper() }} {{ 'ABC'.lower() }} {{ 'aB c'.title() }} {{ 'aBc'.swapcase() }} {{ 'aBC'.capitalize() }} {{ '-'.join(['a', 'b']) }} {{ 'prefix-x'.removeprefix('prefix-') }} {{ 'x.py'.removesuffix('.py') }} {{ '7'.zfill(3) }} {{ 'a'.ljust(3) }}| {{ 'a'.rjust(3, '.') }} {{ ' '.isspace() }} {{ '12'.isdigit() }} {{ 'ab'.isalpha() }} {{ 'a1'.isalnum() }} {{ 'AB'.isupper() }} {{ 'abc'.index('b') }}
{{ l.index(2) }} {{ l.count(1) }} {{ [1, 2].copy() }}
{{ l.append(1) }}
{{ d.update({'x': 1}) }}
{{ 1 is number }}{{ 1.0 is float }}{{ true is integer }}{{ 1 is integer }}{{ 'a' is string }}{{ d is mapping }}{{ d is sequence }}{{ 'a' is iterable }}{{ 1 is iterable }}{{ none is none }}{{ b is boolean }}{{ b is true }}{{ 1 is true }}{{ 6 is divisibleby 3 }}{{ 4 is even }}{{ 1 is eq 1 }}{{ 2 is in [1, 2] }}{{ 'A' is upper }}{{ namespace is callable }}{{ nothing is sequence }}{{ 'x' is not string }}
{{ 'a' if b else 'c' }}{{ 'a' if not b }}{{ 'x' if nothing is defined else 'y' }}{{ b and 'q' }}{{ '' or 'r' }}{{ none or 0 or [] }}
{{ dict(a=1, b=none) }} {{ dict([['x', 2]]) }} {{ range(1, 7, 2) | list }} {{ range(3, 0, -1) | list }} {{ "con" 'cat' }} {{ '\x41\u00e9\t|' }}
{{ raise_exception('bad ' ~ f) }}
{{ x | frobnicate }}
{{ frobnicate(1) }}
{{ none['a'] }}{{ none.a is defined }}{{ 5['a'] is defined }}{{ d.a[1][0] }}{{ m[0].k }}{{ m.0.k }}{{ m[-1]['v'] }}
{{ for }}
{% if %}x{% endif %}
{% if b %}x
{% unknown %}
{{ 'a
{% with q = 5, z = f %}{{ q }}{{ z }}{% endwith %}{{ q is defined }}{% filter upper %}abc{{ i }}{% endfilter %}{% raw %}{{ x }} {% y %}{% endraw %}{# c #}.
a\n  {% if b %}  \n  yes\n  {% endif %}\nend\n\n
a  {%- if b -%}  \n x  {%- endif +%}\n b {{- 'c' -}} \n d\n  {#- gone -#}  e\n  {# gone #}\nf\n   {%+ if b %}g{% endif %}\n
{% if b %}\r\nyes\r\n{% endif %}\r\nend\r\n
x{% for i in [1] %}\n  {{ i }}\n{% endfor %}\n  {% set y = 'a\r\nb' %}{{ y }}
{% generation %}a{% endgeneration %}b{% set x = 1 %}{% generation %}{% set x = 2 %}{{ x }}{% endgeneration %}{{ x }}
{% for x in [1] %}{% generation %}{% break %}{% endgeneration %}{% endfor %}
{{ strftime_now('%%') }}{{ {'a': 1, **d} }}
{{ {'a': {'b': [1, {'c': none}]}} }}{{ [[1.0, 2], 'x'] | string }}{{ {'a': 1.0} ~ '' }}
"""
variables = json.loads(VARIABLES)
rows = []
for line in SNIPPETS.strip("\n").split("\n"):
    template = line
    # Lines that are about white space hold their line breaks escaped outside of tags.
    if line.startswith(("a\\n", "a  {%-", "{% if b %}\\r", "x{% for")):
        template = line.replace("\\r", "\r").replace("\\n", "\n")
    try:
        text = _compile_jinja_template(template).render(**variables)
    except Exception as error:
        text = None
    rows.append([template, text])
print('{"variables": ' + json.dumps(VARIABLES) + ', "rows": [')
print(",\n".join(json.dumps(row, ensure_ascii=True) for row in rows))
print("]}")
