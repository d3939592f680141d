namespace UringBpf.Bytecode;

/// <summary>The types that programs are relocated against: this library's own, then those the caller gave.</summary>
internal sealed class CoreTarget(BtfSpec own, BtfSpec? given)
{
    // By the local name's address: many types may share one name, which may be long.
    private readonly Dictionary<string, (IReadOnlyList<BtfType> Own, IReadOnlyList<BtfType> Given)> _named = new(ReferenceEqualityComparer.Instance);

    /// <summary>The types that may be meant by a local one: same kind, same name but for the flavour. What this library
    /// publishes hides a type of that name in the given BTF.</summary>
    public IEnumerable<(BtfSpec Types, BtfType Type)> Candidates(BtfType local)
    {
        if (!_named.TryGetValue(local.Name, out var named))
        {
            var name = CoreTypes.EssentialName(local.Name);
            _named[local.Name] = named = (own.NamedLike(name), given?.NamedLike(name) ?? []);
        }
        var found = OfKind(own, named.Own, local);
        if (given is not null && !found.Any()) found = OfKind(given, named.Given, local);
        return found;
    }

    private static IEnumerable<(BtfSpec Types, BtfType Type)> OfKind(BtfSpec types, IReadOnlyList<BtfType> named, BtfType local) =>
        named.Where(type => CoreTypes.SameKind(local, type)).Select(type => (types, type));
}
