//! INI inventories.

use super::{agree, ini};

#[test]
fn ini_files() {
    agree(&[
        ini("empty", &[("hosts", "")]),
        ini("only comments", &[("hosts", "# nothing\n; here\n\n")]),
        ini("ungrouped", &[("hosts", "lone\nother ansible_host=10.0.0.1\n")]),
        ini("groups", &[("hosts", "lone\n[web]\nb\na\n[db]\na\nc\n[empty]\n")]),
        ini("repeated section", &[("hosts", "[web]\na\n[db]\nb\n[web]\nc\na v=1\n")]),
        ini("host twice", &[("hosts", "[w]\na v=1 w=1\na v=2\n")]),
        ini(
            "all and ungrouped as sections",
            &[("hosts", "[all]\nx\ny\n[ungrouped]\nz\n[web]\ny\n")],
        ),
        ini("listed and ungrouped", &[("hosts", "[ungrouped]\na\nb\n[web]\na\n")]),
        ini(
            "children",
            &[(
                "hosts",
                "[prod:children]\nweb\ndb\n[web]\nw1\nw2\n[db]\nd1\n[prod:vars]\nenv=prod\n",
            )],
        ),
        ini(
            "children defined later, and deeper",
            &[(
                "hosts",
                "[a:children]\nb\n[b:children]\nc\n[c]\nh\n[z]\nh\n[a:vars]\nv=a\n[c:vars]\nv=c\n",
            )],
        ),
        ini(
            "one child of two parents",
            &[("hosts", "[p:children]\nc\n[q:children]\nc\nd\n[c]\n1h\n[d]\n2h\n1h\n")],
        ),
        ini(
            "own hosts and children",
            &[("hosts", "[p]\nx\n[p:children]\nc\n[c]\ny\n[c:vars]\nk=1\n")],
        ),
        ini(
            "vars of all",
            &[("hosts", "a\n[w]\nb\n[all:vars]\nx=1\ny=two words\n[w:vars]\nx=2\n")],
        ),
        ini("vars before the group", &[("hosts", "[w:vars]\nx=1\n[w]\na\n")]),
        ini(
            "children of all",
            &[("hosts", "[all:children]\nzeta\nalpha\n[alpha]\na\n[zeta]\nz\n")],
        ),
        ini("empty group in a group", &[("hosts", "[p:children]\ne\n[e]\n[w]\na\n")]),
        ini("odd names of groups", &[("hosts", "[web-1]\na\n[1st]\nb\n[x.y]\nc\n")]),
        ini("crlf", &[("hosts", "[web]\r\na v=1\r\n[web:vars]\r\nx=y\r\n")]),
        ini("indented", &[("hosts", "  [web]\n   a v=1\n\tb\n")]),
        ini("header with a comment", &[("hosts", "[web] # the web\na\n[db]# none\nb\n")]),
        ini("not ascii", &[("hosts", "[wéb]\nhöst v=\"größe\"\n[wéb:vars]\nk=ü\n")]),
        ini("a group like a host", &[("hosts", "[web]\nweb\nother\n")]),
        ini("localhost listed", &[("hosts", "localhost\n[w]\n127.0.0.1\n")]),
    ]);
}

#[test]
fn host_lines() {
    agree(&[
        ini(
            "ranges",
            &[("hosts", "a[01:03]\nb[1:10:3]\nc-[a:f]\nd-[a:g:2]\ne[08:11]\nf[8:011]\n")],
        ),
        ini("two ranges", &[("hosts", "[w]\nr[1:2]n[a:b].x v=1\nj[:2]\nh[A:C]\n")]),
        ini(
            "ports",
            &[(
                "hosts",
                "h1:2222\nh2:2022 ansible_port=99\nr[1:2]:2022\n[2001:db8::1]:2200\n2001:db8::2\n",
            )],
        ),
        ini(
            "values",
            &[(
                "hosts",
                "h a=1 b=1.5 c=-3 d=True e=None f=true g=yes h=null i=0644 j=0x1f k=0b11 l=1_000 m=1e3 n=1j o=1+1 \
                 p=... q=False r=+4 s=00 t=1. u=.5 v=1__0 w=0o17 x=-0.0 y=1E5 z=_1\n",
            )],
        ),
        ini(
            "quotes",
            &[(
                "hosts",
                "h a=\"two words\" b='q' c=un'quo'ted d=\"'5'\" e='\"5\"' f=\"\" g= h='' i=\"it's\" j='say \"x\"'\n",
            )],
        ),
        ini(
            "backslashes",
            &[("hosts", r#"h a=a\b b=a\\b c="a\tb" d='a\tb' e="a\"b" f="'a\\tb'" g=a\ b"#)],
        ),
        ini(
            "collections",
            &[(
                "hosts",
                "h a=[1,2] b=\"[1, 'x']\" c=\"{'k': 1}\" d=(1,2) e=[] f={} g=\"{'k': {'l': [True, None]}}\" h=() i=\"[1,]\" \
                 k=[x,y] l=\"['a' 'b']\"\n",
            )],
        ),
        ini(
            "comments",
            &[("hosts", "a # c\nb v=1 # c\nc v=\"x # y\"\nd semi=a;b\ne hash=a#b\n  # indented\n")],
        ),
        ini(
            "equals",
            &[("hosts", "h a=b=c url=http://x/?a=1&b=2 t={{foo}} u=\"{{ foo }}\" w=a:b\n")],
        ),
        ini("addresses", &[("hosts", "10.0.0.1\nweb.example.net ansible_host=10.0.0.2\nu_s-x\n")]),
    ]);
}

#[test]
fn vars_sections() {
    agree(&[
        ini(
            "values",
            &[(
                "hosts",
                "[w]\nh\n[w:vars]\na=1\nb = 2 \nc=\"two words\"\nd=a \"b\" c\ne=[1, 2]\nf={'k': 1}\ng=True\nh=yes\ni=\nj=a=b\n\
                 k={{ foo }}\nl='x'\nm=0x1f\nn=0644\no=  spaces inside  stay\np=\"unclosed\nq=None\nr=(1, 2)\ns=x y\nt=1 2\n",
            )],
        ),
        ini(
            "comments",
            &[("hosts", "[w]\nh\n[w:vars]\na=x # text\nb=x#y\n# c\n; d\n  c=1\nd=;x\n")],
        ),
        ini("keys", &[("hosts", "[w]\nh\n[w:vars]\nwith space=1\na-b=2\n9x=3\na.b=4\n")]),
        ini("the last wins", &[("hosts", "[w]\nh\n[w:vars]\nv=1\n[w:vars]\nv=2\n")]),
        ini(
            "escapes",
            &[(
                "hosts",
                "[w]\nh\n[w:vars]\na=\"a\\nb\"\nb=a\\nb\nc='a\\\\b'\nd=\"\\x41\\u00e9\"\n",
            )],
        ),
    ]);
}
