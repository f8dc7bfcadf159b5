# Every shell that people type into begins here, by /etc/profile, /etc/bash.bashrc or both: a login shell starts from
# Debian's default path, so the image's is put back; and it says once what stays.
case :$PATH: in
*:"$HOME/.local/bin":*) ;;
*) export PATH="/usr/local/bin:$HOME/.local/bin:$PATH" ;;
esac

# A shell that is opened from outside has not come through the entry point.
if [ -r /run/berth/environment ]; then
    : "${BERTH_FILES:=/run/berth}"
    export BERTH_FILES
    . /run/berth/environment
fi

# Not exported: VS Code hands the environment of a shell that nobody sees to its terminals.
case $-:${said_what_stays:-} in
*i*:)
    said_what_stays=yes
    cat <<'TEXT'
Your home, /home/berth, stays when this workspace stops; so does what you install for yourself, because it goes there.
/tmp and everything else outside /home and /data start afresh.
TEXT
    ;;
esac
