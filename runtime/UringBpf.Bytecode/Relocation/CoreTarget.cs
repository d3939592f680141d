namespace UringBpf.Bytecode;

/// <summary>The types that programs are relocated against: this library's own, then those the caller gave.</summary>
internal sealed class CoreTarget(BtfSpec own, BtfSpec? given)
{
    /// <summary>The types that may be meant by a local one: same kind, same name but for the flavour. What this library
    /// publishes hides a type of that name in the given BTF.</summary>
    public IEnumerable<(BtfSpec Types, BtfType Type)> Candidates(BtfType local)
    {
        var found = In(own, local);
        if (given is not null && !found.Any()) found = In(given, local);
        return found;
    }

    private static IEnumerable<(BtfSpec Types, BtfType Type)> In(BtfSpec types, BtfType local) =>
        types.NamedLike(CoreTypes.EssentialName(local.Name)).Where(type => CoreTypes.SameKind(local, type)).Select(type => (types, type));
}
