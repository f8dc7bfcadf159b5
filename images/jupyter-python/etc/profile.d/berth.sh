# A login shell starts from Debian's default path; put the image's back, and say what stays.
PATH=/usr/local/bin:$HOME/.local/bin:$PATH
export PATH

case $- in
*i*)
    cat <<'TEXT'
Your home, /home/berth, stays when this workspace stops; so does what `pip install` adds, because it goes there.
/tmp and everything else outside /home and /data start afresh.
TEXT
    ;;
esac
