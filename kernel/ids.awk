# ids.awk - pci.ids or usb.ids (Debian packages of that name) packed for
# ids.c: what vendors, devices and classes are called, in the order of their
# numbers, classes last behind a ~; no comments, no subsystems. The 127 words
# that cost most bytes are a byte each, from 0x81 on; they come first, a line
# each, with an empty line behind.
/^#/ || /^\t\t/ || /^$/ { next }
/^C [0-9a-f][0-9a-f]  / { keep(1, "~" substr($0, 3, 2), substr($0, 7)); next }
/^[0-9a-f][0-9a-f][0-9a-f][0-9a-f]  / {
    keep(0, substr($0, 1, 4), substr($0, 7)); next
}
/^\t[0-9a-f]+  / && part {
    line("\t" $1, substr($0, class ? 6 : 8)); next
}
{ part = "" }

function keep(is_class, number, name) {
    class = is_class
    part = number
    line(number, name)
}

function line(number, name,    i, n, word) {
    gsub(/[^ -~]/, "?", name)
    key[++lines] = number
    text[lines] = name
    n = split(name, words, " ")
    for (i = 1; i <= n; i++)
        saved[words[i]] += length(words[i])
}

# What a word costs, less its own line and the bytes that stand for it.
function best(    word, top) {
    top = ""
    for (word in saved)
        if (length(word) > 2 &&
            (top == "" || saved[word] > saved[top] ||
             saved[word] == saved[top] && word < top))
            top = word
    delete saved[top]
    return top
}

END {
    for (word in saved)
        saved[word] -= saved[word] / length(word) + length(word)
    for (i = 1; i < 128; i++) {
        word = best()
        code[word] = sprintf("%c", 128 + i)
        print word
    }
    print ""
    for (l = 1; l <= lines; l++) {
        n = split(text[l], words, " ")
        out = key[l]
        for (i = 1; i <= n; i++)
            out = out " " (words[i] in code ? code[words[i]] : words[i])
        print out
    }
}
