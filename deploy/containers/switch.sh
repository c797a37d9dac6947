# What deploy/release, deploy/rollback and deploy/restore do with containers, by the option --compose; sourced by bash, in
# the folder of the sources. The same functions as server/switch.sh has. What Compose reads beside compose.yaml, such as
# COMPOSE_FILE for a file of your own, belongs into deploy/.env.

logs='docker compose logs'

say() { printf '== %s\n' "$*"; }

stop() {
    printf '%s: %s\n' "$(basename "$0")" "$*" >&2
    exit 1
}

# Compose, for a release, with every service; nobody waits for an answer from the keyboard.
compose() {
    local release=$1
    shift
    (cd deploy && RELEASE=$release docker compose --progress quiet --profile release "$@")
}

# Run one command in a container of its own.
once() {
    local release=$1
    shift
    compose "$release" run --rm --no-deps -T "$@"
}

alone() {
    exec 9< deploy/compose.yaml
    flock --nonblock 9 || stop "another release, rollback or restore is running"
}

is_version() { [[ $1 =~ ^[A-Za-z0-9_][A-Za-z0-9._-]*$ ]] || stop "$1 is no name of a release"; }

setting() { (set +u; . deploy/.env && printf %s "${!1}"); }

# current: the version of the web container, whether or not it runs; previous: the one before.
version_of() {
    local image
    if [ "$1" = previous ]; then setting PREVIOUS; return; fi
    image=$(compose any ps --all --format '{{.Image}}' web 2> /dev/null | head -n 1)
    printf %s "${image##*:}"
}

# deploy/.env remembers it, so that the next plain `docker compose up` starts the same.
point() {
    local name=RELEASE
    [ "$1" = current ] || name=PREVIOUS
    { grep -v "^$name=" deploy/.env || true; printf '%s=%s\n' "$name" "$2"; } > deploy/.env.new
    chmod --reference=deploy/.env deploy/.env.new
    mv deploy/.env.new deploy/.env
}

images_of() { compose "$1" config --images | grep -F -e ":$1" | sort -u; }

is_built() { docker image inspect $(images_of "$1") > /dev/null 2>&1; }

# The next try builds it anew, and no rollback leads to it.
distrust() { docker image rm --force $(images_of "$version") > /dev/null 2>&1 || true; }

versions() { docker image ls --format '{{.Tag}}' "$(images_of any | sed -n 's,/web:any$,/web,p')"; }

build() {
    local folder
    say "Building $version"
    folder=$(mktemp -d)
    (cd "$folder" && extract)
    SOURCES=$folder compose "$version" build --quiet web cron tools
    rm -rf "$folder"
}

# What a release needs and does not replace. What runs is left alone, also where compose.yaml has changed since.
check() {
    compose "$version" up --detach --no-recreate --wait db redis || return
    say "Checking $version"
    once "$version" web python -m project.env < /dev/null \
        && once "$version" web python manage.py check --deploy --fail-level ERROR < /dev/null
}

as_owner() {
    local release=$1
    shift
    once "$release" migrate "$@" < /dev/null
}

grants() {
    once "$1" tools deploy/with_database OWNER_DATABASE_URL \
        psql --no-psqlrc --quiet --file deploy/sql/grants.sql < /dev/null
}

rehearse() { once "$version" web python deploy/server/rehearse < /dev/null; }

# Units are a matter of systemd.
install_units() { :; }

runs() { [ "$(compose any ps --quiet --status running web worker | wc -l)" -ge 2 ]; }

# With what it depends on: without, Compose would take it for another at the next plain `up`, and start it anew.
start() { compose "$1" up --detach --wait --wait-timeout 120 "$2"; }

# Make a release the one that runs. A second container of it answers while the first is replaced: nginx goes to the socket
# on which somebody listens.
switch_to() {
    local version=$1
    if [ -n "$(compose any ps --quiet --status running web)" ]; then
        start "$version" web-beside || return
    fi
    point current "$version"
    start "$version" web \
        && compose "$version" up --detach worker cron backup measure \
        && (cd deploy && docker compose --progress quiet up --detach --no-recreate) || return
    stop_beside
}

stop_beside() { compose any rm --stop --force web-beside > /dev/null 2>&1 || true; }

smoke_test() {
    local url options
    url=$(. deploy/.env.production && printf %s "$WEB_URL")
    options=$(setting SMOKE_OPTIONS)
    if grep -q '^FEATURE_PASSWORD_RESET=false' deploy/.env.production; then options="$options --switched-off"; fi
    deploy/smoke_test "$url" $options
}

# The five newest stay, and whatever runs or ran before.
tidy() {
    local old
    for old in $(versions | tail -n +6); do
        case $old in
            "$(version_of current)" | "$(version_of previous)") ;;
            *) docker image rm $(images_of "$old") > /dev/null 2>&1 || true ;;
        esac
    done
}
