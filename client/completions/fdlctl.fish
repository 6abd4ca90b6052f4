# SPDX-License-Identifier: LGPL-2.1-or-later
# Completion of fdlctl for fish. What can stand where, "fdlctl __complete" says; this only asks and shows.

function __fdlctl_complete
    set -l before (commandline -opc)
    set -l current (commandline -ct)
    set -l all (commandline -op)
    set -l program $before[1]
    set -l index (math (count $before) - 1)
    # what stands behind the cursor: a package there names the entries
    set -l behind
    set -l next (math (count $before) + 2)
    if test -z "$current"
        set next (math (count $before) + 1)
    end
    if test $next -le (count $all)
        set behind $all[$next..-1]
    end
    # as the program would see them
    set before (string replace -r '^~/' "$HOME/" -- $before)
    set behind (string replace -r '^~/' "$HOME/" -- $behind)
    for line in ($program __complete $index $before[2..-1] "$current" $behind 2>/dev/null)
        if test "$line" = :pac
            __fish_complete_path "$current" | string match -ri '.*(?:/|\.pac)(?:\t.*)?$'
        else if test "$line" = :dir
            __fish_complete_directories "$current"
        else if test "$line" = :file
            __fish_complete_path "$current"
        else
            echo $line
        end
    end
end

complete -c fdlctl -f -a '(__fdlctl_complete)'
