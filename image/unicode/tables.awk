# tables.awk - Unicode's character properties as a Smalltalk class.
#
#   awk -f tables.awk /usr/share/unicode/UnicodeData.txt > UnicodeData.class.st
#
# Properties are runs of code points: an array of where each begins, and its
# value. Case mappings are quadruples: first, last, step, and the difference
# to the mapped character. Class Unicode searches them.

function hex(s,    i, n) {
    n = 0
    for (i = 1; i <= length(s); i++)
        n = n * 16 + index("0123456789ABCDEF", substr(s, i, 1)) - 1
    return n
}

# The category (and combining class) of the code points first..last.
function add(first, last, category, combining) {
    if (first != next_code)
        category_run(next_code, "Cn")
    category_run(first, category)
    if (first != next_code && combining_now != 0)
        combining_run(next_code, 0)
    combining_run(first, combining)
    next_code = last + 1
}

function category_run(code, category) {
    if (category == category_now)
        return
    category_now = category
    starts = starts wrap(code)
    categories = categories wrap(position[category])
}

function combining_run(code, combining) {
    if (combining == combining_now)
        return
    combining_now = combining
    combining_starts = combining_starts wrap(code)
    combinings = combinings wrap(combining)
}

function wrap(n,    text) {
    text = " " n
    width += length(text)
    if (width > 68) {
        text = "\n        " n
        width = 8
    }
    return text
}

# Collects the mapping of one case into quadruples of equal difference.
function map(kind, code, target,    delta, step) {
    if (target == "")
        return
    delta = hex(target) - code
    step = code - last[kind]
    if (kind in first && delta == deltas[kind] && step <= 2 &&
        (steps[kind] == 0 || steps[kind] == step)) {
        last[kind] = code
        steps[kind] = step
        return
    }
    close_run(kind)
    first[kind] = last[kind] = code
    steps[kind] = 0
    deltas[kind] = delta
}

function close_run(kind) {
    if (kind in first)
        runs[kind] = runs[kind] wrap(first[kind]) wrap(last[kind]) \
            wrap(steps[kind] ? steps[kind] : 1) wrap(deltas[kind])
}

function method(name, text) {
    print "\n{ #category : #tables }\nUnicodeData class >> " name " [\n    ^ " \
        text "\n]"
}

BEGIN {
    FS = ";"
    n = split("Cn Cc Cf Co Cs Ll Lm Lo Lt Lu Mc Me Mn Nd Nl No Pc Pd Pe Pf" \
              " Pi Po Ps Sc Sk Sm So Zl Zp Zs", names, " ")
    for (i = 1; i <= n; i++)
        position[names[i]] = i
    combining_now = -1
}

{
    code = hex($1)
    if ($2 ~ /First>$/) {
        range_first = code
        next
    }
    add($2 ~ /Last>$/ ? range_first : code, code, $3, $4)
    map("upper", code, $13)
    map("lower", code, $14)
    map("title", code, $15 == $13 ? "" : $15)
    if ($3 == "Nd" && $7 == 0)
        zeros = zeros wrap(code)
}

END {
    category_run(next_code, "Cn")
    close_run("upper")
    close_run("lower")
    close_run("title")
    print "\"I am the Unicode character database, or what of it Unicode needs:" \
        "\nliterals made by image/unicode/tables.awk from UnicodeData.txt.\""
    print "Class {\n    #name : #UnicodeData,\n    #superclass : #Object," \
        "\n    #category : #'Unicode-Data'\n}"
    method("categoryStarts", "#(" starts ")")
    method("categories", "#[" categories "]")
    method("combiningStarts", "#(" combining_starts ")")
    method("combiningClasses", "#[" combinings "]")
    method("zeroDigits", "#(" zeros ")")
    method("upperRuns", "#(" runs["upper"] ")")
    method("lowerRuns", "#(" runs["lower"] ")")
    method("titleRuns", "#(" runs["title"] ")")
}
